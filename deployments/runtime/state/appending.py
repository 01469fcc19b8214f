"""What came of appends whose answer was lost: the logs tell it by the ids of their rows."""

import asyncio
import logging
import time
from collections.abc import Sequence

from deployments.runtime.state.entries import Append, Saved
from deployments.runtime.state.log import KeyLog
from deployments.runtime.transport.call import given_up
from settings.redis_connection import REDIS_AWAY

log = logging.getLogger(__name__)

# For so long a connection that was lost is asked for again; the gateway seldom waits longer.
PATIENCE_SECONDS = 2.0
_AGAIN_SECONDS = 0.05


async def append_and_know(log_: KeyLog, appends: Sequence[Append]) -> list[bool | None]:
    """Append as the log does; where the connection is lost over it, find out what was taken.

    What is not there may still be on its way, so it counts as an entry that somebody else was
    before: the next try takes the same number, and only one of the two can have it.
    """
    try:
        return await log_.append(appends)
    except REDIS_AWAY as away:
        log.warning(
            "The connection was lost while %d entries were appended, and their state is read "
            "again: %s",
            len(appends),
            type(away).__name__,
        )
    found = await _read(log_, [each.key for each in appends])
    return [_there(each, saved) for each, saved in zip(appends, found, strict=True)]


async def _read(log_: KeyLog, keys: Sequence[str]) -> list[Saved]:
    """Read the logs as soon as Redis answers, while anybody waits for it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await log_.read(keys)
        except REDIS_AWAY:
            if given_up() or time.monotonic() >= end:
                raise
        await asyncio.sleep(_AGAIN_SECONDS)


def _there(append: Append, saved: Saved) -> bool:
    taken = {*saved.seen, *(row for entry in saved.tail for row in entry.ids)}
    return append.rows[-1] in taken
