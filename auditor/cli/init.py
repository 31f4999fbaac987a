"""``auditor init``: a first configuration to edit, with everything explained in place."""

from pathlib import Path

import click

from auditor import plugs
from auditor.cli.newfile import write_new
from auditor.errors import ConfigError
from auditor.resources import bundled


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("config.yaml"))
@click.option(
    "--provider",
    "providers",
    multiple=True,
    help="Add a source of this provider; may be repeated. Without it: a file source.",
)
def init(path: Path, providers: tuple[str, ...]) -> None:
    """Write a first configuration to PATH (./config.yaml), never over an existing file."""
    known = plugs.names("auditor.collectors")
    for provider in providers:
        if provider not in known:
            raise ConfigError(plugs.unknown("provider", provider, known))
    text = first_configuration(providers or ("file",))
    write_new(path, text, otherwise="name another file or edit that one")
    click.echo(f"Wrote {path}. Next: edit it, then `auditor sources check -c {path}`.")


def first_configuration(providers: tuple[str, ...]) -> str:
    """Return the text of a configuration with one source per provider."""
    template = (bundled("templates") / "config.yaml.txt").read_text(encoding="utf-8")
    return template.replace("@SOURCES@\n", "".join(_source(name) for name in providers))


def _source(provider: str) -> str:
    known = _SOURCES.get(provider, "")
    return f"  - name: {provider.replace('_', '-')}\n    provider: {provider}\n{known}"


_SOURCES = {
    "file": "    path: exports/*.json            # a glob; also .ndjson, .csv, .gz\n",
    "keycard": (
        "    base_url: https://api.keycard.ai\n"
        "    token: ${env:KEYCARD_TOKEN}     # or client_id and client_secret\n"
        "    organizations: all              # or a list of ids or labels\n"
    ),
    "aws": "    accounts: current               # or organization, or a list of account ids\n",
}
