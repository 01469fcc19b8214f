"""How every process reaches the history actor, which alone owns the column store."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from deployments.api.errors import UnavailableError
from deployments.history.questions import FoundDecisions, Questions
from deployments.runtime import own_cluster
from features.errors import SourceAwayError
from features.rows import FeatureRow
from observability.errors import ArchiveElsewhereError

# While the GCS is away, to look a named actor up takes up to a minute.
FIND_SECONDS = 3.0
ANSWER_SECONDS = 10.0
AGAIN_SECONDS = 0.5
# Who gave the history a time to answer in waits a little longer than that for the answer.
GRACE_SECONDS = 1.0
# Where there is no such actor, and none can be started, everybody would search all the time.
SEARCH_AGAIN_SECONDS = 2.0
# No search takes as long: its thread hangs for good, and another one shall have its turn.
HUNG_SECONDS = 180.0

P = ParamSpec("P")
Answer = TypeVar("Answer")
Asking = Callable[Concatenate[Questions, P], Coroutine[Any, Any, Answer]]
"""One of the methods of `Questions`."""

log = logging.getLogger(__name__)


class HistoryAwayError(UnavailableError):
    """The history actor gives no answer; the message says what is known of the reason."""


class NoClusterError(Exception):
    """This process belongs to no Ray cluster, so nobody holds a history for it."""


class HistoryDiedError(Exception):
    """The actor is gone, and another one will be in its place."""


class HistoryFailedError(Exception):
    """The actor gave no answer; the message is a word for why."""


class AnyHistory(Protocol):
    """Answers questions; raises HistoryDiedError or HistoryFailedError where it does not."""

    async def answer(self, question: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any: ...


def find() -> AnyHistory:
    """Find the one history actor. Blocks: not for an event loop.

    Raises NoClusterError, or ArchiveElsewhereError where the archive's node is away.
    """
    if not own_cluster.belongs_to_one():
        raise NoClusterError
    from deployments.history.discovery import HistoryActor, history  # noqa: PLC0415 - Ray is loaded

    return HistoryActor(history())


class HistoryClient:
    """Asks the history actor from an event loop, and never blocks it."""

    def __init__(
        self,
        find_: Callable[[], AnyHistory] = find,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find_
        self._clock = clock
        self._finding: Future[AnyHistory] | None = None
        self._search_at = float("-inf")
        self._hung_at = float("-inf")

    async def ask(self, question: Asking[P, Answer], *args: P.args, **named: P.kwargs) -> Answer:
        """Ask, and once more after a moment: the actor may just be starting again."""
        return await self.ask_within(ANSWER_SECONDS, question, *args, **named)

    async def ask_within(
        self, seconds: float, question: Asking[P, Answer], *args: P.args, **named: P.kwargs
    ) -> Answer:
        """Ask, and once more after a moment; the answer may take so long each time."""
        try:
            return await self._ask(seconds, question, *args, **named)
        except HistoryAwayError as away:
            log.warning("%s; the question is sent again", away.message)
        await asyncio.sleep(AGAIN_SECONDS)
        return await self._ask(seconds, question, *args, **named)

    async def _ask(
        self, seconds: float, question: Asking[P, Answer], *args: P.args, **named: P.kwargs
    ) -> Answer:
        found = await self._reach()
        try:
            async with asyncio.timeout(seconds):
                answer: Answer = await found.answer(question.__name__, args, named)
                return answer
        except HistoryDiedError as died:
            self._finding = None
            raise HistoryAwayError("The history actor is restarting: try again") from died
        except TimeoutError as late:
            raise HistoryAwayError(
                "The history actor does not answer (TimeoutError): try again"
            ) from late
        except HistoryFailedError as failed:
            raise HistoryAwayError(
                f"The history actor does not answer ({failed}): try again"
            ) from failed

    async def _reach(self) -> AnyHistory:
        finding = self._finding
        if finding is None or self._failed_a_while_ago(finding) or self._hangs(finding):
            finding = self._finding = _in_a_thread(self._find)
            self._search_at = self._clock() + SEARCH_AGAIN_SECONDS
            self._hung_at = self._clock() + HUNG_SECONDS
        return await _outcome(finding)

    def _failed_a_while_ago(self, finding: Future[AnyHistory]) -> bool:
        failed = finding.done() and finding.exception() is not None
        return failed and self._clock() > self._search_at

    def _hangs(self, finding: Future[AnyHistory]) -> bool:
        return not finding.done() and self._clock() > self._hung_at


async def _outcome(finding: Future[AnyHistory]) -> AnyHistory:
    if finding.done() and finding.exception() is None:
        return finding.result()
    waiting = asyncio.wrap_future(finding)
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        async with asyncio.timeout(FIND_SECONDS):
            return await asyncio.shield(waiting)
    except ArchiveElsewhereError as elsewhere:
        raise HistoryAwayError(str(elsewhere), retry_after_s=5) from elsewhere
    except TimeoutError as late:
        raise HistoryAwayError(
            "The history actor cannot be found at the moment: try again"
        ) from late
    except Exception as error:
        raise HistoryAwayError(
            f"There is no history actor ({type(error).__name__}): try again"
        ) from error


def _in_a_thread(find_: Callable[[], AnyHistory]) -> Future[AnyHistory]:
    """Find in a daemon thread: one of a pool would hold up the end of the process."""
    found: Future[AnyHistory] = Future()

    def run() -> None:
        try:
            found.set_result(find_())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            found.set_exception(error)

    threading.Thread(target=run, name="find the history", daemon=True).start()
    return found


_client = HistoryClient()


async def ask(question: Asking[P, Answer], *args: P.args, **named: P.kwargs) -> Answer:
    """Ask the history actor one of its `Questions`; raises HistoryAwayError."""
    return await _client.ask(question, *args, **named)


async def ask_within(
    seconds: float, question: Asking[P, Answer], *args: P.args, **named: P.kwargs
) -> Answer:
    """Ask what may take another time than usual; raises HistoryAwayError."""
    return await _client.ask_within(seconds, question, *args, **named)


class HistoryDecisions:
    """The decisions that the history knows, for those who look them up."""

    async def rows(self, decision_ids: list[str]) -> FoundDecisions:
        return await ask(Questions.rows, decision_ids)

    async def search(self, decision_id: str, within_s: float) -> FoundDecisions:
        """Look for a decision that `rows` left unsearched; the history says how far it came."""
        return await ask_within(within_s + GRACE_SECONDS, Questions.search, decision_id, within_s)


class HistorySource:
    """The history actor as a source of features."""

    async def latest(self, entities: Sequence[str]) -> dict[str, FeatureRow]:
        try:
            return await ask(Questions.latest, list(entities))
        except HistoryAwayError as error:
            raise SourceAwayError("history", error.message) from error
