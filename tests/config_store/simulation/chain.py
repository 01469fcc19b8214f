"""Every state that was stored, one after another, each held against the invariants."""

from collections import Counter
from collections.abc import Callable

from config_store.steering.commands import Actor, Command
from config_store.steering.state import SteeringState
from tests.config_store.simulation import invariants
from tests.config_store.simulation.invariants import check, check_change, check_state
from tests.config_store.simulation.simulated_redis import Contents, SimulatedRedis

# So much is lost where Redis syncs its file each second.
LOST_SECONDS = 1.0


class Chain:
    def __init__(self, redis: SimulatedRedis, now: Callable[[], float]) -> None:
        self._redis = redis
        self._now = now
        self.counts: Counter[str] = Counter()
        self.epoch = 0
        self.states: list[SteeringState] = []
        self._drafted: set[int] = set()
        self._snapshots: list[tuple[float, Contents, int]] = []

    @property
    def state(self) -> SteeringState | None:
        return self.states[-1] if self.states else None

    def add(self, commands: tuple[Command, ...], by: Actor) -> SteeringState:
        """Take what was just stored, and hold it against what was there before."""
        contents, before = self._redis.contents, self.state
        state = SteeringState.model_validate_json(contents.steering["state"])
        self._count(before, state, commands)
        self._drafted |= set(state.versions)
        check_state(state, contents, self._drafted)
        invariants.is_tree(before, state)
        past_steering = before is not None and self._redis.pointer_before != b"%d" % before.active
        if before is not None:
            told = contents.told(since=self._redis.events_before)
            check_change(before, state, told, commands, by, past_steering=past_steering)
        if past_steering or invariants.is_jump(before, state):
            self.epoch += 1
        self.states.append(state)
        self.keep()
        return state

    def acknowledge(self, state: SteeringState) -> None:
        """Hold that what somebody was told is there was stored, and is a link of this chain."""
        stored = {each.revision: each for each in self.states}
        check(stored.get(state.revision) == state, f"revision {state.revision} was never stored")

    def past_steering(self) -> None:
        """Note that another version was activated by something that knows no steering."""
        self.epoch += 1

    def keep(self) -> None:
        self._snapshots.append((self._now(), self._redis.snapshot(), len(self.states)))
        del self._snapshots[:-5]

    def forget(self) -> bool:
        """Put Redis back to where it was before its last second; tell whether it lost anything."""
        recent = [each for each in self._snapshots if each[0] >= self._now() - LOST_SECONDS]
        if not recent:
            return False
        _, contents, length = recent[0]
        self._redis.contents = contents
        self.counts["losses of a second"] += 1
        del self.states[length:]
        self._drafted &= contents.versions.keys()
        self._snapshots.clear()
        self.epoch += 1
        return True

    def _count(
        self, before: SteeringState | None, state: SteeringState, commands: tuple[Command, ...]
    ) -> None:
        self.counts["changes stored"] += 1
        if before is not None and before.active != state.active:
            self.counts["switches of the active version"] += 1
        for command in commands:
            self.counts[f"made: {type(command).__name__}"] += 1
