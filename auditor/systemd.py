"""What systemd is told: ready, stopping, still alive. Without systemd nothing happens."""

import asyncio
import os
import socket


def notify(state: str) -> bool:
    """Send *state* (``READY=1``) to the service manager; False where there is none to tell."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(state.encode(), address)
    except OSError:
        return False
    return True


async def keep_watchdog() -> None:
    """Say that the loop lives, twice in every interval that systemd watches; return if it does not.

    It is the loop that is watched: a long audit is none of the watchdog's business.
    """
    interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 1_000_000
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or interval <= 0:
        return
    while notify("WATCHDOG=1"):  # noqa: ASYNC110 - nothing else would wake it
        await asyncio.sleep(interval / 2)
