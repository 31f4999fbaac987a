"""``python -m benchmarks [NAME …]``: every benchmark, or the named ones, one after the other."""

import importlib
import pkgutil
import sys
from pathlib import Path

SEPARATE = {"aws"}
"""Needs more than the project installs; has a target of its own."""


def main() -> None:
    known = sorted(
        module.name
        for module in pkgutil.iter_modules([str(Path(__file__).parent)])
        if not module.name.startswith("_")
    )
    names = sys.argv[1:] or [name for name in known if name not in SEPARATE]
    sys.argv = sys.argv[:1]  # a benchmark's own arguments are for when it runs alone
    for name in names:
        if name not in known:
            sys.exit(f"There is no benchmark {name!r}; known: {', '.join(known)}")
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
