"""Reads logs once, as the source would, and notes nothing of it."""

from features.sources.logs.config import LogRules
from features.sources.logs.follow import Positions
from features.sources.logs.source import LogSource
from features.sources.source import Gathered


class _NoPositions:
    """Nothing was read before, and nothing is noted of what is read now."""

    async def load(self) -> Positions | None:
        return None

    async def save(self, positions: Positions) -> None:
        """Forget them: the platform has its own."""


async def read_once(
    name: str,
    rules: LogRules,
    *,
    start: int,
    stop: int,
    now: float,
    cadence_seconds: int,
    lateness_seconds: int,
    past_mb: int,
) -> Gathered:
    """Give the intervals in [start, stop) that are over by `now`, of the ends of the files."""
    source = LogSource(
        name,
        rules,
        _NoPositions(),
        lambda: now,
        cadence_seconds=cadence_seconds,
        lateness_seconds=lateness_seconds,
        history_days=0,
        past_mb=past_mb,
    )
    try:
        return await source.range(start, stop)
    finally:
        await source.close()
