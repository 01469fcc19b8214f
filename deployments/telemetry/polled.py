"""What sources that are polled have alike: a breaker, and what troubles them."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from features.errors import SourceAwayError, SourceRefusedError
from features.sources.breaker import Breaker


class Observer(Protocol):
    """Notes whether a source answers."""

    async def answered(self) -> None: ...

    async def failed(self, reason: str, breaker: Breaker) -> None: ...


class PolledSource:
    """A source that may be away, or refuse; it is asked as often as its breaker allows."""

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.trouble = ""
        self.refused = False

    async def _attempt(
        self, work: Callable[[], Awaitable[bool]], observer: Observer
    ) -> bool | None:
        """Do a piece of work, which says whether there is more; None where the source failed."""
        if not self.breaker.allows:
            return False
        try:
            more = await work()
        except SourceAwayError as away:
            self.trouble, self.refused = str(away), False
            self.breaker.fail()
            await observer.failed(self.trouble, self.breaker)
            return None
        except SourceRefusedError as refused:
            self.trouble, self.refused = str(refused), True
            return None
        self.trouble, self.refused = "", False
        self.breaker.succeed()
        await observer.answered()
        return more
