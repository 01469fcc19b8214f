"""Whether the public port takes connections, asked many times a second from beside the load."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

EVERY_SECONDS = 0.05
CONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Outage:
    """Connections refused in a row."""

    start: float
    seconds: float


@dataclass(slots=True)
class Outages:
    """Fed with one connection after the other, and whether it was taken."""

    ended: list[Outage] = field(default_factory=list)
    asked: int = 0
    _refused_since: float | None = None
    _latest: float = 0.0

    def note(self, at: float, *, taken: bool) -> None:
        self._latest = at
        self.asked += 1
        if not taken:
            if self._refused_since is None:
                self._refused_since = at
        elif self._refused_since is not None:
            self.ended.append(Outage(self._refused_since, at - self._refused_since))
            self._refused_since = None

    @property
    def all(self) -> list[Outage]:
        """Give them all, one that has not ended as long as it is known to last."""
        if self._refused_since is None:
            return self.ended
        return [*self.ended, Outage(self._refused_since, self._latest - self._refused_since)]

    @property
    def longest(self) -> float:
        return max((outage.seconds for outage in self.all), default=0.0)


async def watch(
    outages: Outages,
    host: str,
    port: int,
    stop: asyncio.Event,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Connect and hang up until it is over."""
    while not stop.is_set():
        asked = clock()
        outages.note(asked, taken=await _taken(host, port))
        await asyncio.sleep(max(EVERY_SECONDS - (clock() - asked), 0.0))


async def _taken(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
