"""Whether anybody asks the history: while nobody does, the main thread of its actor may rest.

The anomaly stage asks it every two seconds what is new. It waits for that as well as it may, and so
it does not count.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from deployments.history.questions import Questions
from deployments.runtime.own_cluster import MAIN_THREAD_RESTS_SECONDS

QUIET_AFTER_SECONDS = 30.0
BY_ITSELF = (Questions.news, Questions.intervals)

Actor = TypeVar("Actor")


class Quiet:
    """Since when nobody has asked."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at = clock()

    def note(self) -> None:
        self._asked_at = self._clock()

    def main_thread_rest(self) -> float:
        """Give how long a question may wait."""
        quiet = self._clock() - self._asked_at >= QUIET_AFTER_SECONDS
        return MAIN_THREAD_RESTS_SECONDS if quiet else 0.0


def noting_questions(actor: type[Actor]) -> type[Actor]:
    """Have each question that somebody waits for noted in the actor's `quiet`."""
    for name, question in vars(Questions).items():
        if callable(question) and not name.startswith("_") and question not in BY_ITSELF:
            setattr(actor, name, _noted(getattr(actor, name)))
    return actor


def _noted(answer: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(answer)
    async def noted(self: Any, *args: Any, **named: Any) -> Any:
        self.quiet.note()
        return await answer(self, *args, **named)

    return noted
