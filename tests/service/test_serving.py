"""The daemon answers probes beside its audits."""

import os
import re
import signal
import socket
from pathlib import Path

import httpx

from tests.service.conftest import Service, wait_for


def free_port() -> int:
    """Return a port that is free, of those that no test gets by asking for any."""
    for port in range(12_000 + os.getpid() % 10_000, 32_000):
        if is_free(port):
            return port
    raise AssertionError("there is no free port")


def test_the_daemon_answers_probes_while_an_audit_goes_on(on_sqlite: Service):
    service, port = on_sqlite, free_port()
    service.extra = f"web: {{port: {port}, token: sixteen-characters-or-more}}"
    hold = service.mark("hold-2")
    daemon = service.start()
    wait_for(lambda: "org-2" in service.calls())
    base = f"http://127.0.0.1:{port}"
    assert httpx.get(f"{base}/readyz").json()["is_leader"] is True
    assert httpx.get(f"{base}/metrics").status_code == 401  # figures are for those who may look
    bearer = {"Authorization": "Bearer sixteen-characters-or-more"}
    assert "auditor_audits_running 1.0" in httpx.get(f"{base}/metrics", headers=bearer).text
    hold.unlink()
    wait_for(service.reports)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(40) == 0


def test_an_address_that_is_taken_ends_the_daemon_with_a_sentence(on_sqlite: Service):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        on_sqlite.extra = f"web: {{port: {taken.getsockname()[1]}}}"
        assert on_sqlite.start().wait(40) == 2
    assert "Change web.host or web.port" in on_sqlite.log()


def web_process(daemon: int) -> int:
    """Return the process of the web view; 0 while there is none."""
    children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
    return int(children[0]) if children else 0


def is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def test_what_is_shown_follows_a_reload_or_stays_whole(on_sqlite: Service):
    service, port = on_sqlite, free_port()
    service.extra = f"web: {{port: {port}}}"
    daemon = service.start()
    base = f"http://127.0.0.1:{port}"
    wait_for(lambda: service.reports() and answers(f"{base}/coverage"))
    config = service.root / "config.yaml"
    good = config.read_text()

    config.write_text(good.replace("name: often", "name: seldom").replace("name: paced", "name: 7"))
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: "config.rejected" in service.log())
    assert httpx.get(f"{base}/readyz").json()["is_config_current"] is False
    assert 'schedule="often"' in httpx.get(f"{base}/metrics").text
    assert "often" in httpx.get(f"{base}/schedules").text

    more = "sources: [{name: added, provider: 'tests.fakes.paced:Paced'}, "
    config.write_text(good.replace("name: often", "name: seldom").replace("sources: [", more))
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: "config.shown" in service.log())
    assert httpx.get(f"{base}/readyz").json()["is_config_current"] is True
    assert 'next_run_timestamp_seconds{schedule="seldom"}' in httpx.get(f"{base}/metrics").text
    shown = httpx.get(f"{base}/schedules").text
    assert "seldom" in shown
    assert "often" not in shown
    wait_for(lambda: "added" in httpx.get(f"{base}/coverage").text)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(40) == 0


def reload(service: Service, **changes: str) -> str:
    """Change lines of the configuration, have it read again, and return what the log says of it."""
    config, before = service.root / "config.yaml", service.log()
    lines = [line for line in config.read_text().splitlines() if line.split(":")[0] not in changes]
    config.write_text("\n".join([*lines, *filter(None, changes.values())]) + "\n")
    service.processes[-1].send_signal(signal.SIGHUP)
    wait_for(lambda: re.search("config.(reloaded|rejected)", service.log()[len(before) :]))
    return service.log()[len(before) :]


def test_other_settings_of_the_web_view_are_followed_while_an_audit_goes_on(on_sqlite: Service):
    service, port = on_sqlite, free_port()
    base = f"http://127.0.0.1:{port}"
    hold = service.mark("hold-2")
    daemon = service.start()
    wait_for(lambda: "org-2" in service.calls())

    assert "config.reloaded" in reload(service, web=f"web: {{port: {port}}}")
    assert answers(f"{base}/runs")
    first = web_process(daemon.pid)
    assert "config.reloaded" in reload(service, web=f"web: {{port: {port}, token: {'t' * 16}}}")
    assert web_process(daemon.pid) != first
    assert httpx.get(f"{base}/metrics").status_code == 401
    assert httpx.get(f"{base}/metrics", headers={"Authorization": f"Bearer {'t' * 16}"}).is_success
    assert "config.reloaded" in reload(service, web="")
    assert is_free(port)

    hold.unlink()
    wait_for(service.reports)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(40) == 0


def test_a_rotated_token_counts_from_the_reload_on(on_sqlite: Service):
    service, port = on_sqlite, free_port()
    token = service.root / "token"
    token.write_text("a" * 16)
    token.chmod(0o600)
    service.extra = f"web: {{port: {port}, token: '${{file:{token}}}'}}"
    daemon = service.start()

    def is_let_in(word: str) -> bool:
        headers = {"Authorization": f"Bearer {word}"}
        return httpx.get(f"http://127.0.0.1:{port}/runs", headers=headers).status_code == 200

    wait_for(lambda: answers(f"http://127.0.0.1:{port}/healthz"))
    assert is_let_in("a" * 16)
    token.write_text("b" * 16)
    assert "config.reloaded" in reload(service)
    assert not is_let_in("a" * 16)
    assert is_let_in("b" * 16)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(40) == 0


def test_the_web_view_moves_to_another_address_or_stays_with_everything_else(on_sqlite: Service):
    service, port = on_sqlite, free_port()
    service.extra = f"web: {{port: {port}}}"
    daemon = service.start()
    wait_for(lambda: answers(f"http://127.0.0.1:{port}/runs"))

    everywhere = f"web: {{host: 0.0.0.0, port: {port}, token: {'t' * 16}}}"
    with socket.create_server(("127.0.0.2", port)):
        log = reload(service, web=everywhere)
        assert "config.rejected" in log
        assert "Change web.host or web.port" in log
        assert answers(f"http://127.0.0.1:{port}/runs")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "config.rejected" in reload(service, web=f"web: {{port: {taken.getsockname()[1]}}}")
        assert answers(f"http://127.0.0.1:{port}/runs")

    assert "config.reloaded" in reload(service, web=everywhere)
    assert answers(f"http://127.0.0.3:{port}/healthz")
    assert not answers(f"http://127.0.0.3:{port}/runs")

    other = free_port()
    assert "config.reloaded" in reload(service, web=f"web: {{port: {other}}}")
    assert answers(f"http://127.0.0.1:{other}/runs")
    assert is_free(port)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(40) == 0


def test_the_web_view_has_a_process_of_its_own_that_comes_back_and_ends_with_the_daemon(
    on_sqlite: Service,
):
    service, port = on_sqlite, free_port()
    service.extra = f"web: {{port: {port}}}"
    daemon = service.start()
    base = f"http://127.0.0.1:{port}"
    wait_for(lambda: answers(f"{base}/healthz"))
    first = web_process(daemon.pid)
    os.kill(first, signal.SIGTERM)  # as a service manager sends it to every process of a unit
    assert answers(f"{base}/healthz")

    os.kill(first, signal.SIGKILL)
    wait_for(lambda: web_process(daemon.pid) not in (0, first))
    wait_for(lambda: answers(f"{base}/healthz"))
    assert "web.ended" in service.log()

    daemon.kill()
    wait_for(lambda: is_free(port))


def test_a_daemon_that_stands_still_is_told_by_its_probes(on_sqlite: Service):
    service, port = on_sqlite, free_port()
    service.extra = f"web: {{port: {port}}}"
    daemon = service.start()
    base = f"http://127.0.0.1:{port}"
    wait_for(lambda: answers(f"{base}/healthz"))
    daemon.send_signal(signal.SIGSTOP)
    try:
        silent = httpx.get(f"{base}/healthz", timeout=30)
        page = httpx.get(f"{base}/runs")
    finally:
        daemon.send_signal(signal.SIGCONT)
    wait_for(lambda: answers(f"{base}/healthz"))

    assert silent.status_code == 503
    assert page.status_code == 200
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(40) == 0
