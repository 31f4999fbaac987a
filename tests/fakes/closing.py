"""Ends a server so that nothing of it is left for the garbage collector to complain about."""

import asyncio
import sys


async def close(server: asyncio.Server) -> None:
    """Close *server*; return when its last connection has ended, however busy the machine is."""
    server.close()
    for _turn in range(5):  # what was accepted in the last instant becomes a connection
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        if sys.version_info >= (3, 12, 1):
            await server.wait_closed()
        else:  # there, that does not wait for connections
            while vars(server)["_active_count"]:  # noqa: ASYNC110 - it tells nobody when it is zero
                await asyncio.sleep(0.001)
