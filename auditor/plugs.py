"""From a name in the configuration to the one class in the file of that name.

A plug is a module in a plug package (``auditor.collectors``, ``auditor.reports``,
``auditor.delivery``) that defines exactly one concrete subclass of the package's base class.
``package.module:Class`` names a plug from elsewhere. The file name is the registry.

A plug may also be data: ``descriptions/<name>.yaml`` in the package, which the package's module
``declarative`` turns into a class.
"""

import inspect
import pkgutil
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from auditor.errors import ConfigError

T = TypeVar("T")

_NOT_PLUGS = frozenset({"interface", "declarative"})
_NOUNS = {
    "auditor.collectors": "provider",
    "auditor.reports": "format",
    "auditor.delivery": "channel",
}
"""What the configuration calls a plug of each package."""


def names(package: str) -> list[str]:
    """Return the sorted names of the plugs in *package* without importing them."""
    modules = {
        module.name
        for module in pkgutil.iter_modules(import_module(package).__path__)
        if not module.ispkg and not module.name.startswith("_") and module.name not in _NOT_PLUGS
    }
    return sorted(modules | descriptions(package).keys())


def descriptions(package: str) -> dict[str, Path]:
    """Return the plugs of *package* that are data, by name."""
    folders = [Path(folder) / "descriptions" for folder in import_module(package).__path__]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def described(package: str, path: Path, base: type[T]) -> type[T]:
    """Return the class for the description at *path*; raises `ConfigError`."""
    found: type[T] = import_module(f"{package}.declarative").described(path)
    if not issubclass(found, base):
        raise ConfigError(f"{path} does not describe a {base.__name__}")
    return found


def find(package: str, name: str, base: type[T]) -> type[T]:
    """Return the class that *name* stands for; raises `ConfigError` with a did-you-mean."""
    if ":" in name:
        return _from_path(name, base)
    if name not in names(package):
        raise ConfigError(unknown(_NOUNS.get(package, "plug"), name, names(package)))
    known = descriptions(package)
    if name in known:
        return described(package, known[name], base)
    module = import_module(f"{package}.{name}")
    found = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and not inspect.isabstract(value)
        and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise ConfigError(
            f"{module.__name__} must define exactly one {base.__name__}, not {len(found)}"
        )
    return found[0]


def unknown(what: str, name: str, known: list[str]) -> str:
    """Return the sentence for a name nobody knows."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"There is no {what} {name!r}.{hint} Known: {', '.join(known) or 'none'}."


def _from_path(path: str, base: type[T]) -> type[T]:
    module_name, _, class_name = path.partition(":")
    try:
        found = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{path!r} cannot be imported: {error}") from error
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise ConfigError(f"{path!r} is not a {base.__name__}")
    return found
