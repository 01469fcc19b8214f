"""Suggestions prepared in the process beside the replica, a few for each study.

After each tell, and each ask, the study is wanted again. Studies with an empty queue come
first, and among equals the one that has waited longest. Each suggestion is made as if those before
it were on their way, so that several asks at once differ; one that was made before the latest
outcome is good until a fresh one comes. None of this is state: lost, it is made again.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from deployments.optimization.studies.cheap_suggestions import Suggested, starting
from deployments.optimization.studies.state import Running
from deployments.runtime.helper.process import HelperLostError, HelperProcess, TaskFailedError
from models.optimization.bayes.snapshot import design_document
from observability.background import BackgroundLoop, Loops

DEPTH = 3
# After a task that came to nothing: the process has to begin anew.
PAUSE_SECONDS = 1.0
# Whoever lacks something wakes the loop; this only shows that it lives.
IDLE_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _StudyQueue:
    """The suggestions that are ready for one study."""

    running: Running
    turn: int
    ready: deque[Suggested] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    failed: bool = False

    @property
    def fresh(self) -> int:
        return sum(each.basis == self.running.settled for each in self.ready)

    @property
    def lacks(self) -> bool:
        left = self.running.left
        most = DEPTH if left is None else min(DEPTH, left)
        return not self.failed and not starting(self.running) and self.fresh < most


class SuggestionQueue:
    def __init__(self, helper: HelperProcess, loops: Loops | None = None) -> None:
        self._helper = helper
        self._loops = loops or Loops()
        self._queues: dict[str, _StudyQueue] = {}
        self._turns = itertools.count()
        self._wanted = asyncio.Event()
        self._filling: BackgroundLoop | None = None
        self._making: str | None = None

    def makes(self, name: str) -> bool:
        """Tell whether a suggestion for this study is just being made."""
        return self._making == name

    def knows(self, name: str) -> bool:
        return name in self._queues

    def want(self, name: str, running: Running) -> None:
        """Prepare suggestions for the study as it is now, as soon as there is time."""
        queue = self._queues.get(name)
        if queue is None or queue.running is not running:
            queue = self._queues[name] = _StudyQueue(running, next(self._turns))
        queue.failed = False
        queue.ready = deque(each for each in queue.ready if running.open_to(each.parameters))
        if queue.lacks:
            self._wanted.set()
            if self._filling is None:
                self._filling = self._loops.start(
                    "prepare suggestions", self._fill, lambda: IDLE_SECONDS, wake=self._wanted
                )

    def take(self, name: str) -> Suggested | None:
        queue = self._queues.get(name)
        return queue.ready.popleft() if queue and queue.ready else None

    def forget(self, name: str) -> None:
        self._queues.pop(name, None)

    async def wait_for_suggestions(self, waits: Sequence[tuple[str, float]]) -> None:
        """Wait until each of these studies has a suggestion ready, or for so long."""
        await asyncio.gather(*(self._wait_for_one(name, seconds) for name, seconds in waits))

    async def close(self) -> None:
        if self._filling is not None:
            await self._loops.stop(self._filling)

    async def _wait_for_one(self, name: str, seconds: float) -> None:
        queue = self._queues.get(name)
        if queue is None or queue.ready or not queue.lacks:
            return
        queue.arrived.clear()
        try:
            async with asyncio.timeout(seconds):
                await queue.arrived.wait()
        except TimeoutError:
            return

    async def _fill(self) -> bool:
        """Prepare one suggestion; says whether more may be lacking."""
        lacking = [(name, queue) for name, queue in self._queues.items() if queue.lacks]
        if not lacking:
            return False
        name, queue = min(lacking, key=lambda each: (len(each[1].ready), each[1].turn))
        queue.turn, self._making = next(self._turns), name
        try:
            await self._prepare(name, queue)
        except TaskFailedError as failed:
            log.warning("No suggestion could be prepared for study %s: %s", name, failed)
            queue.failed = True  # until the study is asked or told again
        except HelperLostError as lost:
            log.warning("No suggestion could be prepared for study %s: %s", name, lost)
            await asyncio.sleep(PAUSE_SECONDS)
        except Exception:
            queue.failed = True
            raise
        finally:
            self._making = None
        return True

    async def _prepare(self, name: str, queue: _StudyQueue) -> None:
        running, basis = queue.running, queue.running.settled
        ahead = [each for each in queue.ready if each.basis == basis]
        found = await self._helper.do(
            "suggest",
            name=name,
            design=design_document(running.study.design),
            trials=running.study.trials,
            ahead=[[each.parameters, each.gain] for each in ahead],
        )
        if self._queues.get(name) is not queue:
            return
        suggested = Suggested(basis=basis, **found)
        if not running.open_to(suggested.parameters):
            return  # its candidate was asked for meanwhile
        if suggested.basis == running.settled:
            queue.ready = deque(each for each in queue.ready if each.basis == basis)
        queue.ready.append(suggested)
        queue.arrived.set()
