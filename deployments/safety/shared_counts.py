"""What replicas judged, by version, as they tell each other through Redis every second.

What is in force counts for the platform, a rollout's candidate for itself, and any other version
for nothing until it is known to be one of these.
"""

import secrets
from collections.abc import Callable
from typing import NamedTuple

import orjson
from redis.asyncio import Redis

from config_store.steering.state import Rollout, SteeringState
from deployments.runtime.clocks import Clocks
from deployments.runtime.peers import Peers
from deployments.safety.standing import Standing
from safety.emergency import Counts, EmergencyRules, Tallies, Tally, tallies
from settings.redis_names import redis_name

# A replica that has written nothing new for so long is gone, and what it counted with it.
ALIVE_SECONDS = 5.0


class Counted(NamedTuple):
    """What one replica counted in the time of each rule."""

    platform: Tallies = Tallies()
    # Of the candidate of this rollout; empty where none goes on.
    rollout: str = ""
    candidate: Tallies = Tallies()


class SharedCounts:
    """One for each safety replica."""

    def __init__(self, redis: Redis, clocks: Clocks) -> None:
        self._redis = redis
        self._wall = clocks.wall
        self._peers = Peers(ALIVE_SECONDS, clocks)
        self._key = redis_name(redis, "safety", "counts")
        self._name = secrets.token_hex(8)
        self._by_version: dict[int, Counts] = {}
        self._released = 0.0

    def note(self, version: int, tally: Tally, now: float) -> None:
        counts = self._by_version.get(version)
        if counts is None:
            counts = self._by_version[version] = Counts()
        counts.note(tally, now)

    def follow(self, state: SteeringState) -> bool:
        """Forget what led to an emergency that an admin has ended; say whether one was."""
        if state.released is None or state.released <= self._released:
            return False
        self._released = state.released
        self._by_version.clear()
        return True

    def counted(
        self,
        rules: EmergencyRules,
        standing: Callable[[int], Standing],
        rollout: Rollout | None,
        wall: float,
        now: float,
    ) -> Counted:
        """Sum up what was counted here until now, which is told by both clocks.

        What a version did before a rollout is nothing against it as the candidate of that one.
        """
        over = [version for version, each in self._by_version.items() if each.are_over(now)]
        for version in over:
            del self._by_version[version]
        platform, candidate = Tallies(), Tallies()
        for version, counts in self._by_version.items():
            if rollout is not None and version == rollout.candidate:
                candidate = tallies(rules, counts, now, max(0.0, wall - rollout.begun))
            elif standing(version) is Standing.IN_FORCE:
                platform = platform.plus(tallies(rules, counts, now))
        return Counted(platform, "" if rollout is None else rollout.id, candidate)

    async def share(self, own: Counted) -> list[Counted]:
        """Write down what was counted here, and read what the others counted since the same end."""
        said = {
            "at": self._wall(),
            "released": self._released,
            "tallies": _listed(own.platform),
            "rollout": own.rollout,
            "candidate": _listed(own.candidate),
        }
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(self._key, self._name, orjson.dumps(said))
        pipe.hgetall(self._key)
        _, found = await pipe.execute()
        written = {name.decode(errors="replace"): each for name, each in found.items()}
        written.pop(self._name, None)
        gone = self._peers.gone(written)
        if gone:
            await self._redis.hdel(self._key, *gone)
        read = [_read(each) for name, each in written.items() if name not in gone]
        return [
            each.counted for each in read if each is not None and each.released >= self._released
        ]

    async def leave(self) -> None:
        await self._redis.hdel(self._key, self._name)


class _Written(NamedTuple):
    """What one replica wrote down."""

    released: float
    counted: Counted


def _read(written: bytes) -> _Written | None:
    """Read it; what another release wrote must not keep the rules from being asked."""
    try:
        said = orjson.loads(written)
        platform = _tallies(said["tallies"])
        candidate = _tallies(said["candidate"]) if said.get("rollout") else Tallies()
        counted = Counted(platform, str(said.get("rollout", "")), candidate)
        return _Written(float(said["released"]), counted)
    except (ValueError, KeyError, TypeError):
        return None


def _listed(found: Tallies) -> list[list[int]]:
    return [list(each) for each in found]


def _tallies(said: list[list[int]]) -> Tallies:
    critical, errors = (Tally(*map(int, each)) for each in said)
    return Tallies(critical, errors)
