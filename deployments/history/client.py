"""How every process reaches the history actor, which alone owns the column store."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol

from deployments.api.errors import UnavailableError
from deployments.runtime import own_cluster
from features.errors import SourceAwayError
from features.rows import FeatureRow
from observability.errors import ArchiveElsewhereError

# While the GCS is away, to look a named actor up takes up to a minute.
FIND_SECONDS = 3.0
ANSWER_SECONDS = 10.0
AGAIN_SECONDS = 0.5
# Where there is no such actor, and none can be started, everybody would search all the time.
SEARCH_AGAIN_SECONDS = 2.0

log = logging.getLogger(__name__)


class HistoryAwayError(UnavailableError):
    """The history actor gives no answer; the message says what is known of the reason."""


class NoClusterError(Exception):
    """This process belongs to no Ray cluster, so nobody holds a history for it."""


class FoundDecisions(NamedTuple):
    """Decisions by their ids, as they were recorded; and why those that are missing may exist.

    Those that are unsearched may exist too, and take longer to be looked for: `search`.
    """

    rows: dict[str, bytes]
    trouble: str | None = None
    unsearched: tuple[str, ...] = ()


class HistoryDiedError(Exception):
    """The actor is gone, and another one will be in its place."""


class HistoryFailedError(Exception):
    """The actor gave no answer; the message is a word for why."""


class AnyHistory(Protocol):
    """Answers questions; raises HistoryDiedError or HistoryFailedError where it does not."""

    async def answer(self, question: str, args: tuple[Any, ...]) -> Any: ...


def find() -> AnyHistory:
    """Find the one history actor. Blocks: not for an event loop.

    Raises NoClusterError, or ArchiveElsewhereError where the archive's node is away.
    """
    if not own_cluster.belongs_to_one():
        raise NoClusterError
    from deployments.history.place import HistoryActor, history  # noqa: PLC0415 - Ray is loaded

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

    async def ask(self, question: str, *args: Any, within_s: float = ANSWER_SECONDS) -> Any:
        """Ask, and once more after a moment: the actor may just be starting again."""
        try:
            return await self._ask(question, args, within_s)
        except HistoryAwayError as away:
            log.warning("%s; it is asked again", away.message)
        await asyncio.sleep(AGAIN_SECONDS)
        return await self._ask(question, args, within_s)

    async def _ask(self, question: str, args: tuple[Any, ...], within_s: float) -> Any:
        found = await self._found()
        try:
            async with asyncio.timeout(within_s):
                return await found.answer(question, args)
        except HistoryDiedError as died:
            self._finding = None
            raise HistoryAwayError("The history is starting again: try again") from died
        except TimeoutError as late:
            raise HistoryAwayError(
                "The history gives no answer (TimeoutError): try again"
            ) from late
        except HistoryFailedError as failed:
            raise HistoryAwayError(f"The history gives no answer ({failed}): try again") from failed

    async def _found(self) -> AnyHistory:
        if self._finding is None or self._failed_a_while_ago(self._finding):
            self._finding = _in_a_thread(self._find)
            self._search_at = self._clock() + SEARCH_AGAIN_SECONDS
        return await _outcome(self._finding)

    def _failed_a_while_ago(self, finding: Future[AnyHistory]) -> bool:
        failed = finding.done() and finding.exception() is not None
        return failed and self._clock() > self._search_at


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
        raise HistoryAwayError("The history is not found at present: try again") from late
    except Exception as error:
        raise HistoryAwayError(
            f"There is no history ({type(error).__name__}): try again"
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


async def ask(question: str, *args: Any, within_s: float = ANSWER_SECONDS) -> Any:
    """Ask the history actor by the name of its method; raises HistoryAwayError."""
    return await _client.ask(question, *args, within_s=within_s)


class HistorySource:
    """The history actor as a source of features."""

    async def latest(self, entities: Sequence[str]) -> dict[str, FeatureRow]:
        try:
            rows: dict[str, FeatureRow] = await ask("latest", list(entities))
        except HistoryAwayError as error:
            raise SourceAwayError("history", error.message) from error
        return rows
