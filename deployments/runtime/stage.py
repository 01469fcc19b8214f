"""What makes a class a stage of the DAG: it answers frames, each by the version that it names."""

import logging
from abc import abstractmethod
from typing import Generic, TypeVar

from config_store.errors import ConfigError, VersionAwayError
from config_store.steering.state import VersionLife
from config_store.store import ConfigStore, Version
from config_store.versions import Live, LiveVersions
from deployments.runtime.batch import requests_of
from deployments.runtime.replica import Replica
from deployments.runtime.transport.call import BatchRefusedError
from deployments.runtime.transport.frame import Frame
from models.errors import ModelError
from observability.background import BackgroundLoop
from observability.logs import request_ids

Compiled = TypeVar("Compiled")

LOAD_SECONDS = 10.0

log = logging.getLogger(__name__)


class LoadFailures:
    """One replica's, of versions that it tries to load again and again."""

    def __init__(self) -> None:
        self._logged: set[tuple[int, str]] = set()

    def note(self, number: int, failure: Exception) -> str:
        """Log why a version cannot be loaded, where that is new; give the reason in words."""
        why = failure.cause if isinstance(failure, VersionAwayError) else str(failure)
        why = why.strip() or type(failure).__name__
        if (number, why) not in self._logged:
            self._logged.add((number, why))
            log.error("Version %d cannot be loaded (%s): it is tried again", number, why)
        return why

    def forget(self, number: int) -> None:
        """Take note that a version is loaded: what fails after that is logged anew."""
        self._logged = {each for each in self._logged if each[0] != number}


class Stage(Generic[Compiled]):
    """A subclass says what it needs of a version, and answers each frame by the version it names.

    What it needs is compiled once for each version, and several versions are alive at a time.
    """

    def __init__(self, replica: Replica) -> None:
        """Put the parts together: nothing is read, started or opened yet."""
        self.replica = replica
        self.versions = LiveVersions(ConfigStore(replica.redis).get, self.compile)
        self.load_failures = LoadFailures()

    async def prepare(self) -> None:
        """Do what takes long, before the replica opens; a subclass may have such."""

    async def warm(self) -> None:
        """Have compiled what only some first answers would wait for; a subclass may have such.

        A replica does it before it opens too. `make dev` answers the other families meanwhile.
        """

    @abstractmethod
    async def answer(self, frame: Frame, compiled: Compiled) -> Frame:
        """Answer by what was compiled of the version in the frame's head, and by no other."""

    @abstractmethod
    def compile(self, version: Version) -> Compiled:
        """Make of a version what answers need of it; called once for each that is alive."""

    def configure(self, version: Version) -> None:
        """Take over the notice of a version; batches choose theirs by themselves."""
        self.versions.activate(version)

    async def make_ready(self, compiled: Compiled) -> None:
        """Load what answers by a version need beyond what was compiled; a subclass may have such.

        Only a rollout's candidate is made ready: who is active is asked at once.
        """

    async def load_candidate(self) -> None:
        """Have a rollout's candidate at hand before the first batch names it, and say so.

        Who cannot load it says why, and tries again at the next call.
        """
        state = self.replica.steering.value
        if state is None or state.rollout is None:
            return
        life = state.versions[state.rollout.candidate]
        try:
            live = await self.versions.get(life.number, life.content_hash, LOAD_SECONDS)
            await self.make_ready(live.compiled)
        except (ConfigError, ModelError) as failure:
            await self._say_lacking(life, failure)
        except Exception as fault:  # it was not foreseen: the loop logs where it comes from
            await self._say_lacking(life, fault)
            raise
        else:
            self.load_failures.forget(life.number)
            await self.replica.say_loaded(life.content_hash)

    async def _say_lacking(self, life: VersionLife, failure: Exception) -> None:
        why = self.load_failures.note(life.number, failure)
        await self.replica.say_loaded(life.content_hash, why)

    def start_work(self) -> list[BackgroundLoop]:
        """Start what goes on beside the answers; it ends before the stage takes no more batches."""
        return []

    async def close(self) -> None:
        """Let go of what the stage holds besides its replica; a subclass may hold something."""

    async def answer_logged(self, frame: Frame) -> Frame:
        """Answer; what is logged on the way names the requests of the batch."""
        head = frame.head
        request_ids.set(requests_of(head))  # each frame is answered in a task of its own
        number, config_hash = head.get("version", 0), head.get("config_hash", "")
        live = self.versions.held(number, config_hash)
        if live is None:
            live = await self._fetched(number, config_hash, head.get("budget_s"))
        answer = await self.answer(frame, live.compiled)
        answer.head["version"] = live.number
        self.replica.note_work()
        return answer

    async def _fetched(
        self, number: int, config_hash: str, budget_s: float | None
    ) -> Live[Compiled]:
        try:
            return await self.versions.get(number, config_hash, budget_s)
        except VersionAwayError as away:
            raise BatchRefusedError(str(away)) from away
