"""The daemon answers probes beside its audits."""

import signal
import socket

import httpx

from tests.service.conftest import Service, wait_for


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


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
