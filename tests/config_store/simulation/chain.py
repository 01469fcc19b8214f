"""Every state that was stored, one after another, each held against the invariants."""

from collections import Counter
from collections.abc import Callable

import orjson

from config_store.steering.commands import Actor, Command, Deploy, Draft, EmergencyOff
from config_store.steering.state import SteeringState
from tests.config_store.simulation import invariants, permissions, steps
from tests.config_store.simulation.invariants import check
from tests.config_store.simulation.simulated_redis import Contents, SimulatedRedis

# So much is lost where Redis syncs its file each second.
LOST_SECONDS = 1.0


class Chain:
    def __init__(self, redis: SimulatedRedis, now: Callable[[], float]) -> None:
        self._redis = redis
        self._now = now
        self.counts: Counter[str] = Counter()
        # Keys may change their version anyhow from one epoch to the next.
        self.epoch = 0
        # How often an admin ended emergency mode, whether or not Redis still knows.
        self.releases = 0
        self.states: list[SteeringState] = []
        self._drafted: set[int] = set()
        self._snapshots: list[tuple[float, Contents, int, frozenset[int]]] = []

    @property
    def state(self) -> SteeringState | None:
        return self.states[-1] if self.states else None

    def add(self, commands: tuple[Command, ...], by: Actor, *, drafts: bool) -> None:
        """Take what was just stored, and hold it against what was there before."""
        before, state = self.state, self._stored()
        if before is not None and drafts:
            commands = steps.drafted(before, state)
        self._count(before, state, commands)
        self._drafted |= set(state.versions)
        self._check(before, state)
        invariants.way_back(state)
        steps.leads(before, state, self._now())
        steps.by_clock_of_redis(state, self._now())
        past_steering = False
        if before is not None:
            past_steering = self._redis.pointer_before != b"%d" % before.active
            self._check_step(before, state, commands, by, past_steering=past_steering)
        if past_steering or steps.is_jump(before, state):
            self.epoch += 1
        self.releases += any(isinstance(each, EmergencyOff) for each in commands)
        self.states.append(state)
        self.keep()

    def restored(self) -> None:
        """Take the state that a gateway knew, written again where the stored one was spoilt.

        What came after it is lost; lives of versions that it did not know are made anew.
        """
        state, last = self._stored(), self.states[-1]
        self.counts["states restored"] += 1
        check(state.revision > last.revision, "the revision did not grow")
        self._drafted = {
            each
            for each in self._drafted | state.versions.keys()
            if each in state.versions or b"%d" % each in self._redis.contents.filed
        }
        # A gateway may know what Redis forgot, whose number has another document since.
        contents = self._redis.contents
        contents.spoilt |= {n for n in state.versions if not invariants.is_of(state, n, contents)}
        self._check(None, state)
        self.epoch += 1
        self.states.append(state)
        self._snapshots.clear()
        self.keep()

    def acknowledge(self, state: SteeringState) -> None:
        """Hold that what somebody was told is there was stored, and is a link of this chain."""
        stored = {each.revision: each for each in self.states}
        check(stored.get(state.revision) == state, f"revision {state.revision} was never stored")

    @property
    def spoilt(self) -> set[int]:
        """Name the versions whose documents somebody spoilt by hand."""
        return self._redis.contents.spoilt

    def past_steering(self) -> None:
        """Note that another version was activated by something that knows no steering."""
        self.epoch += 1

    def keep(self) -> None:
        there = self._redis.snapshot(), len(self.states), frozenset(self._drafted)
        self._snapshots.append((self._now(), *there))
        del self._snapshots[:-5]

    def forget(self) -> bool:
        """Put Redis back to where it was before its last second; tell whether it lost anything."""
        recent = [each for each in self._snapshots if each[0] >= self._now() - LOST_SECONDS]
        if not recent:
            return False
        _, contents, length, drafted = recent[0]
        self._redis.contents = contents
        self.counts["losses of a second"] += 1
        del self.states[length:]
        # A number that it gave out since is given out again.
        self._drafted &= drafted
        self._snapshots.clear()
        self.epoch += 1
        return True

    def _stored(self) -> SteeringState:
        return SteeringState.model_validate_json(self._redis.contents.steering["state"])

    def _check(self, before: SteeringState | None, state: SteeringState) -> None:
        invariants.check_state(state, self._redis.contents, self._drafted)
        invariants.is_tree(before, state)

    def _check_step(
        self,
        before: SteeringState,
        state: SteeringState,
        commands: tuple[Command, ...],
        by: Actor,
        *,
        past_steering: bool,
    ) -> None:
        told = [orjson.loads(each) for each in self._redis.contents.events[self._told_before :]]
        steps.is_told(before, state, told)
        steps.goes_forward(before, state)
        steps.shares_only_grow(before, state)
        steps.emergency_stays(before, state, commands)
        permissions.permitted(commands, by)
        permissions.approvals_are_earned(before, commands, by)
        permissions.overrides_stay(before, state, commands, by)
        permissions.freezes_stay(before, state, commands)
        permissions.lock_stays(before, state, commands, by)
        if past_steering:
            steps.adopts(told, self._redis.pointer_before, self._redis.contents, commands)
            return
        steps.steps_are_earned(steps.judged_within(before, commands), state)
        steps.ends_are_meant(before, state, commands)
        steps.deploys_are_earned(before, state, commands, by)
        steps.drafts_have_room_of_their_own(before, state, commands, by)
        new = state.versions.keys() - before.versions.keys()
        if len(new) == sum(isinstance(each, Draft) for each in commands):
            steps.follows(before, state, commands, by)

    @property
    def _told_before(self) -> int:
        return self._redis.events_before

    def _count(
        self, before: SteeringState | None, state: SteeringState, commands: tuple[Command, ...]
    ) -> None:
        self.counts["changes stored"] += 1
        if before is not None and before.active != state.active:
            self.counts["switches of the active version"] += 1
        ended = None if before is None or before.rollout is None else before.rollout
        if ended is not None and steps.has_finished(ended, state):
            self.counts[f"finished: {ended.strategy}"] += 1
        for command in commands:
            self.counts[f"made: {type(command).__name__}"] += 1
            if isinstance(command, Deploy):
                self.counts[f"begun: {command.strategy}"] += 1
