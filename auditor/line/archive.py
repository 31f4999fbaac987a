"""The policies a run judged by, packed with it, so that any run can be explained again later."""

import json
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

from auditor.line.explain import Explainer
from auditor.policy import PolicySettings, load_with_catalogue


def pack(settings: PolicySettings, builtin: Path, directory: Path) -> bytes:
    """Return the settings and the texts of all policy files, compressed; equal for equal input."""
    folders = [_texts(directory / folder) for folder in settings.directories]
    content = {
        "settings": settings.model_dump(mode="json"),
        "builtin": _texts(builtin),
        "directories": folders,
    }
    return zlib.compress(json.dumps(content, sort_keys=True).encode(), level=6)


def unpack(context: bytes) -> Explainer:
    """Return what explains by the policies that `pack` kept; raises `ConfigError`."""
    content = json.loads(zlib.decompress(context))
    with TemporaryDirectory(prefix="auditor-") as name:
        root = Path(name)
        _write(root / "builtin", content["builtin"])
        for number, texts in enumerate(content["directories"]):
            _write(root / str(number), texts)
        names = [str(number) for number in range(len(content["directories"]))]
        settings = PolicySettings.model_validate(content["settings"] | {"directories": names})
        builtin = root / "builtin"
        return Explainer(*load_with_catalogue(settings, builtin=builtin, directory=root))


def _texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.y*ml"))}


def _write(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
