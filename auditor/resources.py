"""Where the policies and templates that ship with the auditor are found."""

from pathlib import Path


def bundled(name: str) -> Path:
    """Return the folder *name* (``policies``, ``templates``): in the wheel, else in the checkout.

    Raises FileNotFoundError where neither holds it, which means a broken installation.
    """
    package = Path(__file__).parent
    for folder in (package / "_data" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the installation lacks its {name} folder; install auditor again")
