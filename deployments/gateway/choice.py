"""Which version answers a row: the active one, or a rollout's candidate for a share of the keys.

It goes by the steering state alone, and by a state only once the documents that it names are here:
a version that is active or a candidate somewhere is never asked for and not known. Versions that
are warm are here too, so that a rollback waits for no document.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

from config_store.errors import ConfigError
from config_store.steering.shares import choose, same_for_all
from config_store.steering.state import Rollout, SteeringState, Strategy
from config_store.steering.unanswered import StepOf, Tally
from config_store.store import Version
from deployments.api.endpoint import FamilyBody, InferenceEndpoint
from deployments.runtime.state.tags import tag

log = logging.getLogger(__name__)


def key_of(family: InferenceEndpoint, body: FamilyBody) -> str:
    """Give what a rollout goes by: the entity, or the state that a row belongs to.

    Of a state's key it is the tag, which is all that the feedback to a decision has of it.
    """
    return body.entity if family.key is None else tag(family.key(body))


class VersionChoice:
    """Chooses by the state that was taken over last; by the configuration before there is one."""

    def __init__(self, config: Callable[[], Version | None], wall: Callable[[], float]) -> None:
        self._config = config
        self._wall = wall
        self._state: SteeringState | None = None
        self._active: Version | None = None
        self.candidate: Version | None = None
        self.rollout: Rollout | None = None
        self._counted: dict[StepOf, Tally] = {}

    def active(self) -> Version | None:
        """Give the version of every row while no rollout goes on; None before there is one."""
        return self._active or self._config()

    @property
    def shadow(self) -> Version | None:
        """The candidate where it answers beside, off the clients' path."""
        if self.rollout is None or self.rollout.strategy is not Strategy.SHADOW:
            return None
        return self.candidate

    def is_candidate(self, version: Version) -> bool:
        return version is self.candidate

    def take_over(self, state: SteeringState, active: Version, candidate: Version | None) -> None:
        """Go by this state from now on."""
        self._state, self._active = state, active
        self.candidate, self.rollout = candidate, state.rollout

    def count(self, version: Version, asked: int, lost: int) -> None:
        """Note how many rows of a rollout a version was asked for, and left without an answer."""
        if (rollout := self.rollout) is None:
            return
        of = StepOf(rollout.id, rollout.step, version.number)
        before = self._counted.get(of, Tally())
        self._counted[of] = Tally(before.asked + asked, before.lost + lost)

    def take_counted(self) -> dict[StepOf, Tally]:
        """Give what was counted since the last time."""
        taken, self._counted = self._counted, {}
        return taken

    def split(
        self, family: InferenceEndpoint, bodies: Sequence[FamilyBody]
    ) -> list[tuple[Version, list[int]]]:
        """Give the versions that answer these rows while a rollout goes on, each with its rows."""
        state, active, candidate = self._state, self._active, self.candidate
        if state is None or active is None or candidate is None:
            raise RuntimeError("Rows are split only while a rollout goes on")
        now = self._wall()  # one time for the whole request
        by_number = {active.number: active, candidate.number: candidate}
        if (number := same_for_all(state, now)) is not None:
            return [(by_number[number], list(range(len(bodies))))]
        chosen: dict[int, list[int]] = {}
        for row, body in enumerate(bodies):
            chosen.setdefault(choose(state, key_of(family, body), now), []).append(row)
        return [(by_number[number], rows) for number, rows in chosen.items()]


class SteeredChoice:
    """Keeps a choice up to date: reads the documents of a new state, and only then hands it on."""

    def __init__(
        self,
        choice: VersionChoice,
        read: Callable[[int], Awaitable[Version]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._choice = choice
        self._read = read
        self._clock = clock
        self._behind_since: float | None = None
        self._known: dict[int, Version] = {}
        self._wanted: SteeringState | None = None
        # What cannot be read is asked for again and again, and logged once.
        self._unreadable: set[int] = set()
        # Set when there are documents to read.
        self.wake = asyncio.Event()

    @property
    def behind_seconds(self) -> float:
        """For how long rows have been answered by an older state than the one that was seen."""
        return 0.0 if self._behind_since is None else self._clock() - self._behind_since

    def follow(self, state: SteeringState) -> None:
        """Take a state over, at once where its documents are here."""
        self._wanted = state
        if self._behind_since is None:
            self._behind_since = self._clock()
        if not self._hand_on() or self._missing():
            self.wake.set()

    def keep(self, version: Version) -> None:
        """Take a document that came with its own notice."""
        self._known[version.number] = version
        if self._wanted is not None:
            self._hand_on()

    async def step(self) -> None:
        """Read what the newest state names and is not here; what Redis raises passes through."""
        for number in self._missing():
            try:
                version = await self._read(number)
            except ConfigError as error:
                # Nobody can go by it, here or elsewhere: what is known goes on.
                if number not in self._unreadable:
                    self._unreadable.add(number)
                    log.error("Version %d cannot be answered by: %s", number, error)  # noqa: TRY400 - the sentence says it all
            else:
                self.keep(version)
        self._tidy()

    def _hand_on(self) -> bool:
        state = self._wanted
        if state is None:
            return False
        active = self._held(state, state.active)
        rollout = state.rollout
        candidate = None if rollout is None else self._held(state, rollout.candidate)
        if active is None or (rollout is not None and candidate is None):
            return False
        self._choice.take_over(state, active, candidate)
        self._behind_since = None
        return True

    def _held(self, state: SteeringState, number: int) -> Version | None:
        """Give a document that is here; a number that was given out twice has two."""
        version, life = self._known.get(number), state.versions.get(number)
        if version is None or life is None or version.config_hash != life.content_hash:
            return None
        return version

    def _missing(self) -> list[int]:
        state = self._wanted
        if state is None:
            return []
        return [number for number in _named(state) if self._held(state, number) is None]

    def _tidy(self) -> None:
        if self._wanted is not None:
            named = set(_named(self._wanted))
            self._known = {number: each for number, each in self._known.items() if number in named}


def _named(state: SteeringState) -> Iterator[int]:
    """Name the versions that may have to answer: those that are needed first come first."""
    yield state.active
    if state.rollout is not None:
        yield state.rollout.candidate
    yield from state.warm
