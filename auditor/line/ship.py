"""The last step: hand over what the outbox holds, this run's and what earlier runs could not."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime

from auditor.config import Config
from auditor.delivery.interface import Channel
from auditor.findings.view import ReportView
from auditor.line.recall import recall
from auditor.outbox import Delivery, deliver_due
from auditor.store import Store


async def ship(
    store: Store,
    config: Config,
    channels: Sequence[Channel],
    clock: Callable[[], datetime],
    view: ReportView | None = None,
) -> list[Delivery]:
    """Attempt every due message once; *view* is the run just made, others are recalled."""
    with ExitStack() as recalled:

        def view_for_run(run_id: int) -> ReportView:
            if view is not None and view.run.id == run_id:
                return view
            return recalled.enter_context(recall(store, config, str(run_id)))

        by_name = {channel.options.name: channel for channel in channels}
        return await deliver_due(store.outbox, by_name, view_for_run, clock)


def failures(deliveries: Sequence[Delivery]) -> list[str]:
    """Return a sentence for each message that did not arrive."""
    return [
        f"{delivery.message.channel} to {delivery.message.recipient}: {delivery.error}"
        + (" (will be tried again)" if delivery.next_attempt_at else " (given up)")
        for delivery in deliveries
        if delivery.state != "sent"
    ]
