"""The view on a real socket, alone and as a guest in another process."""

import asyncio
import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from auditor.errors import ConfigError
from auditor.serving import WebSettings
from auditor.web.app import create_app
from auditor.web.server import listen, serve

ENTRY = "import sys; from auditor.cli import main; sys.exit(main())"


def test_the_command_prints_its_address_answers_and_ends_with_a_signal(audited):
    command = [sys.executable, "-c", ENTRY, "web", "-c", str(audited.root / "config.yaml")]
    with subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        address = child.stdout.readline().strip()
        answer = httpx.get(address, timeout=30)
        child.send_signal(signal.SIGTERM)
        _out, errors = child.communicate(timeout=30)

    assert answer.status_code == 200
    assert "server" not in answer.headers
    assert "Traceback" not in errors
    assert child.returncode in (0, -signal.SIGTERM)


def test_without_its_packages_the_command_says_what_to_install(audited):
    hidden = "import sys; sys.modules['starlette'] = sys.modules['uvicorn'] = None; "
    done = subprocess.run(
        [sys.executable, "-c", hidden + ENTRY, "web", "-c", str(audited.root / "config.yaml")],
        capture_output=True, text=True, env=os.environ, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert "pip install 'auditor[serve]'" in done.stderr


async def test_as_a_guest_it_leaves_the_signals_alone_and_ends_when_told(web):
    before = signal.getsignal(signal.SIGTERM)
    stop = asyncio.Event()
    told: asyncio.Queue[str] = asyncio.Queue()
    app = create_app(web.store, web.config)
    serving = asyncio.create_task(
        serve(app, WebSettings(port=0), stop=stop, started=told.put_nowait)
    )
    address = await asyncio.wait_for(told.get(), 20)
    async with httpx.AsyncClient(base_url=address) as visitor:
        answer = await visitor.get("/runs")
    assert signal.getsignal(signal.SIGTERM) is before
    stop.set()
    await asyncio.wait_for(serving, 20)

    assert answer.status_code == 200
    assert app.state.site.shelf._edition is None


async def test_probes_are_answered_without_a_login_or_a_known_name(open_web):
    web = open_web(token="a-token-of-more-than-sixteen-characters")
    routes = [
        Route(path, lambda _request: PlainTextResponse("ok")) for path in ("/healthz", "/metrics")
    ]
    web.app = create_app(web.store, web.config, more_routes=routes)
    async with web.visit() as visitor:
        probe = await visitor.get("/healthz", headers={"host": "10.1.2.3:8080"})
        figures = await visitor.get("/metrics")

    assert probe.text == "ok"
    assert figures.status_code == 401


def test_a_taken_port_is_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on 127.0.0.1, port {port}: "):
            listen(WebSettings(port=port))
