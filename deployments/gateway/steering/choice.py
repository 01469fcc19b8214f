"""Which version answers a row: the active one, or a rollout's candidate for a share of the keys.

It goes by the steering state alone, and by a state only once the documents that it names are here:
a version that is active or a candidate somewhere is never asked for and not known. Versions that
are warm are here too, so that a rollback waits for no document.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from config_store.errors import ConfigError, CorruptVersionError
from config_store.steering.rollouts.shares import choose, is_compared, same_for_all
from config_store.steering.rollouts.unanswered import StepOf, Tally
from config_store.steering.state import Rollout, SteeringState, Strategy, VersionLife
from config_store.store import Version
from deployments.api.endpoint import FamilyBody, InferenceEndpoint
from deployments.runtime.state.tags import tag

log = logging.getLogger(__name__)


def key_of(family: InferenceEndpoint, body: FamilyBody) -> str:
    """Give what a rollout goes by: the entity, or the state that a row belongs to.

    Of a state's key it is the tag, which is all that the feedback to a decision has of it.
    """
    return body.entity if family.key is None else tag(family.key(body))


class Part(NamedTuple):
    """Rows of a request that one version answers, and that wait in one queue."""

    version: Version
    rows: list[int]
    compared: bool = False  # their times are, with as many of the other arm's


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

    def take_over(self, state: SteeringState, active: Version, candidate: Version | None) -> None:
        """Go by this state from now on."""
        self._state, self._active = state, active
        self.candidate, self.rollout = candidate, state.rollout

    def step_of(self, version: Version) -> StepOf | None:
        """Name the step that rows are of which a version is asked for now; None outside of steps.

        Before a step begins rows are still of the one before it, whenever their answers come.
        """
        rollout = self.rollout
        step = None if rollout is None else rollout.step_at(self._wall())
        if rollout is None or step is None:
            return None
        return StepOf(rollout.id, step, version.number)

    def count(self, of: StepOf | None, asked: int, lost: int, refused: int = 0) -> None:
        """Note how many rows of a step a version was asked for, left unanswered, and refused."""
        if of is not None:
            self._add(of, Tally(asked, lost, refused))

    async def tell_counted(self, tell: Callable[[Mapping[StepOf, Tally]], Awaitable[None]]) -> None:
        """Hand on what was counted since the last time; what cannot be told is told later.

        Where it is not known whether it was told it is told again: a row that counts twice changes
        a share less than one that is lost.
        """
        if not self._counted:
            return
        counted, self._counted = self._counted, {}
        try:
            await tell(counted)
        except BaseException:
            for of, tally in counted.items():
                self._add(of, tally)
            raise

    def _add(self, of: StepOf, tally: Tally) -> None:
        before = self._counted.get(of, Tally())
        self._counted[of] = Tally(*map(sum, zip(before, tally, strict=True)))

    def split(self, family: InferenceEndpoint, bodies: Sequence[FamilyBody]) -> list[Part]:
        """Give the versions that answer these rows while a rollout goes on, each with its rows."""
        state, active, candidate = self._state, self._active, self.candidate
        if state is None or active is None or candidate is None or state.rollout is None:
            raise RuntimeError("Rows are split only while a rollout goes on")
        now = self._wall()  # one time for the whole request
        by_number = {active.number: active, candidate.number: candidate}
        if (number := same_for_all(state, now)) is not None:
            return [Part(by_number[number], list(range(len(bodies))))]
        rollout, share = state.rollout, state.rollout.share_at(now)
        chosen: dict[tuple[int, bool], list[int]] = {}
        for row, body in enumerate(bodies):
            key = key_of(family, body)
            part = choose(state, key, now), is_compared(rollout.id, key, share)
            chosen.setdefault(part, []).append(row)
        return [
            Part(by_number[number], rows, compared) for (number, compared), rows in chosen.items()
        ]


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
        # Why what is asked for again and again cannot be read; logged once.
        self._unreadable: dict[int, str] = {}
        # Set when there are documents to read.
        self.wake = asyncio.Event()

    @property
    def behind_seconds(self) -> float:
        """For how long rows have been answered by an older state than the one that was seen."""
        return 0.0 if self._behind_since is None else self._clock() - self._behind_since

    def why_behind(self) -> str:
        """Say why rows are answered by an older state than the one that was seen."""
        needed = () if self._wanted is None else _needed(self._wanted)
        found = " ".join(self._unreadable[each] for each in needed if each in self._unreadable)
        return found or "Its documents have not been read yet."

    def why_unreadable(self, number: int) -> str:
        """Say why a version that the state names cannot be read; nothing where it was."""
        return self._unreadable.get(number, "")

    def follow(self, state: SteeringState) -> None:
        """Take a state over, at once where its documents are here."""
        self._wanted = state
        if self._behind_since is None:
            self._behind_since = self._clock()
        if not self._hand_on() or self._missing():
            self.wake.set()

    def keep(self, version: Version) -> None:
        """Take a document that came with its own notice.

        It takes the place of none that the state names: somebody changed what is stored, or gave
        the number out anew, and the state that says so is still to come.
        """
        if self._wanted is None or self._held(self._wanted, version.number) is None:
            self._known[version.number] = version
        if self._wanted is not None:
            self._hand_on()

    async def step(self) -> None:
        """Read what the newest state names and is not here; what Redis raises passes through."""
        for number in self._missing():
            try:
                version = await self._read_drafted(number)
            except ConfigError as error:
                # Nobody can go by it, here or elsewhere: what is known goes on.
                if self._unreadable.get(number) != str(error):
                    self._unreadable[number] = str(error)
                    log.error("Version %d cannot be answered by: %s", number, error)  # noqa: TRY400 - the sentence says it all
            else:
                self.keep(version)
        self._tidy()

    async def _read_drafted(self, number: int) -> Version:
        """Read a version, and refuse another document than the one that was drafted."""
        version, state = await self._read(number), self._wanted
        life = None if state is None else state.versions.get(number)
        if life is not None and not _is_drafted(version, life):
            raise CorruptVersionError(number, life.content_hash, version.config_hash)
        return version

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
        """Give a document that is here."""
        version, life = self._known.get(number), state.versions.get(number)
        if version is None or life is None or not _is_drafted(version, life):
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
        missing = self._missing()
        self._unreadable = {n: why for n, why in self._unreadable.items() if n in missing}


def _is_drafted(version: Version, life: VersionLife) -> bool:
    """Tell whether it is the one that the state has; a number that was given out twice has two."""
    return version.config_hash == life.content_hash


def _needed(state: SteeringState) -> Iterator[int]:
    yield state.active
    if state.rollout is not None:
        yield state.rollout.candidate


def _named(state: SteeringState) -> Iterator[int]:
    """Name the versions that may have to answer: those that are needed first come first."""
    yield from _needed(state)
    yield from state.warm
