"""Running a description against saved answers, from the description's file to its credentials."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from auditor.client import origin_of
from auditor.collectors._declarative.replay import Saved, replaying
from auditor.collectors.interface import Collector, Context, Gap, Note, Page
from auditor.errors import ConfigError, SourceError
from auditor.model import Credential
from auditor.yamlfile import load


@dataclass
class Trial:
    """What the saved answers gave."""

    credentials: list[Credential] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Answers that were asked for and are not in the folder."""
    error: SourceError | None = None

    @property
    def is_whole(self) -> bool:
        """Whether everything was read."""
        return self.error is None and not self.gaps


def options_in(folder: Path, collector: type[Collector]) -> dict[str, Any]:
    """Return the keys of the source: those of ``options.yaml``, made-up secrets, defaults."""
    file = folder / "options.yaml"
    given = load(file).data if file.is_file() else {}
    if not isinstance(given, dict):
        raise ConfigError(f"{file} must hold keys and values, as a source does")
    fields = collector.Options.model_fields
    made_up = {n: f"made-up-{n}" for n, f in fields.items() if f.is_required() and f.repr is False}
    return {"name": "trial", "provider": "trial", **made_up, **given}


async def attempt(
    collector: type[Collector],
    base_url: str | None,
    folder: Path,
    now: datetime,
    resolve: Callable[[str], str] = str,
) -> Trial:
    """Read everything once from the answers in *folder*; raises `ConfigError`."""
    options = options_in(folder, collector)
    vendor = str(options.get("base_url") or base_url or "https://example.com").rstrip("/")
    url = httpx.URL(vendor)
    origin = origin_of(url)
    saved = Saved(folder, url.path.rstrip("/"), vendor=f"{origin.scheme}://{url.netloc.decode()}")
    trial = Trial(missing=saved.missing)
    async with replaying(saved) as here:
        checked = collector.Options.model_validate(
            {"attempts": 1, **options, "base_url": f"{here}{saved.base_path}"}
        )
        running = collector(checked, Context(now=now, directory=folder, resolve=resolve))
        try:
            await _read(running, trial)
        except SourceError as error:
            trial.error = error
        finally:
            await running.aclose()
    return trial


async def _read(collector: Collector, trial: Trial) -> None:
    for unit in await collector.units():
        async with aclosing(collector.collect(unit)) as items:  # type: ignore[type-var]
            async for item in items:
                match item:
                    case Page():
                        trial.credentials += item.credentials
                    case Gap():
                        trial.gaps.append(item)
                    case Note():
                        trial.notes.append(item.text)
