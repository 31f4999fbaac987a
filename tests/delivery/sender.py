"""A process that commits runs and mails them, to be killed: ``sender.py DATABASE PORT RUNS``.

It prints ``committed MESSAGE-ID`` after each commit and ``done`` when the outbox is empty.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

from auditor import log
from auditor.delivery.email import EmailChannel, EmailOptions
from auditor.findings.summary import SummaryBuilder
from auditor.findings.view import ReportView, RunInfo
from auditor.model import RunStatus
from auditor.outbox import LEASE, deliver_due
from auditor.store import Store

START = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def view(run_id: int) -> ReportView:
    at = START + timedelta(minutes=run_id)
    return ReportView(
        run=RunInfo(
            id=run_id,
            started_at=at,
            finished_at=at,
            now=at,
            status=RunStatus.COMPLETE,
            tool_version="1.0.0",
        ),
        coverage=(),
        summary=SummaryBuilder().build(()),
        not_evaluable=(),
        findings=lambda: iter(()),
        credentials=lambda: iter(()),
    )


def commit(store: Store, channel: EmailChannel) -> None:
    run_id = store.begin_run(now=START, started_at=START)
    parcels = channel.parcels(view(run_id))
    with store.judging(run_id, selected=frozenset(), configured=frozenset()) as book:
        book.enqueue("security", parcels)
    for parcel in parcels:
        print("committed", parcel.message_id, flush=True)


async def main(database: str, port: int, runs: int) -> None:
    log.configure()
    options = {
        "name": "security",
        "channel": "email",
        "host": "localhost",
        "port": port,
        "tls": "none",
        "from": "auditor@example.com",
        "to": ["sec@example.com"],
        "attach": [],
        "when": "always",
        "timeout": 5,
    }
    channel = EmailChannel(EmailOptions.model_validate(options), lambda text: text)
    # Every life starts a day later than the one before, so that no lease of the dead holds it up.
    with Store.open(database) as store:
        lives = len(store.ledger.occurrences("lives"))
        store.ledger.begin("lives", str(lives), at=START)
        now = START + (lives + 1) * max(LEASE, timedelta(days=1))
        for _ in range(runs):
            commit(store, channel)
            await deliver_due(store.outbox, {"security": channel}, view, lambda: now)
        while await deliver_due(store.outbox, {"security": channel}, view, lambda: now):
            pass
    print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
