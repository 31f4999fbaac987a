"""``auditor web``: the store in a browser, read only."""

import asyncio
from pathlib import Path

import click

from auditor.cli.options import config_option
from auditor.config import load_config
from auditor.errors import ConfigError
from auditor.serving import WebSettings
from auditor.store import Store


@click.command()
@config_option
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of the configured one.")
def web(config_path: Path, port: int | None) -> None:
    """Show what the store holds in a browser until stopped; nothing can be changed there.

    Listens on this machine only, unless the `web` block of the configuration says otherwise.
    """
    try:
        from auditor.web.app import create_app  # noqa: PLC0415 - an extra may be missing
        from auditor.web.server import serve  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The web view needs {error.name}, which is not installed; "
            "install it with `pip install 'auditor[serve]'`."
        ) from None
    config = load_config(config_path)
    settings = config.layout.web or WebSettings()
    if port is not None:
        settings = settings.model_copy(update={"port": port})
    with Store.open(config.database_url, create=False) as store:
        app = create_app(store, config)
        asyncio.run(serve(app, settings, started=click.echo))
