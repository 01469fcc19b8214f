"""Whether emergency mode is on here: by the steering state, or by a rule that just broke.

Each replica counts what it judges, and every second tells the others through Redis and reads what
they counted. A rule that breaks turns the mode on for all. While Redis is away it does so here at
once, and everywhere as soon as it can be written.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import orjson
from redis.asyncio import Redis

from access.keys import Role
from config_store.steering.commands import Actor, EmergencyOn
from config_store.steering.state import Emergency, SteeringState
from config_store.steering.store import SteeringStore
from deployments.runtime.batch import Batch, Judgement
from deployments.safety.judge import AWAY
from safety.drift import Drift
from safety.emergency import (
    Counts,
    DriftRule,
    EmergencyRules,
    Reason,
    Tallies,
    Tally,
    first_broken,
    tallies,
)
from safety.limits import Level
from settings.redis_connection import REDIS_AWAY
from settings.redis_names import redis_name

log = logging.getLogger(__name__)

# A replica that has written nothing for so long is gone, and what it counted with it.
ALIVE_SECONDS = 5.0
UNKNOWN = Emergency(since=0.0, by="", reason="whether there is one cannot be read from Redis")
RULES = Actor("the safety rules", Role.OPERATOR)


class Clocks(Protocol):
    def wall(self) -> float: ...
    def monotonic(self) -> float: ...


class Emergencies:
    """One for each safety replica."""

    def __init__(
        self, redis: Redis, clocks: Clocks, state: Callable[[], SteeringState | None]
    ) -> None:
        """Take what gives the steering state as it is known here."""
        self._redis = redis
        self._clocks = clocks
        self._state = state
        self._store = SteeringStore(redis)
        self._key = redis_name(redis, "safety", "counts")
        self._name = secrets.token_hex(8)
        self._counts = Counts()
        self._rules = EmergencyRules()
        self._drifts: dict[DriftRule, Drift] = {}
        self._released = 0.0
        # One that a rule of this replica began, until the steering state has it.
        self._own: Emergency | None = None
        # Set when there is something to tell that cannot wait for the next second.
        self.wake = asyncio.Event()

    def configure(self, rules: EmergencyRules) -> None:
        """Take over the rules of the active version; what was counted stays."""
        self._rules = rules
        self._drifts = {
            rule: self._drifts.get(rule) or Drift(rule.least_rows, rule.seconds)
            for rule in rules.drift
        }

    def now(self) -> Emergency | None:
        """Give the emergency that is on; one is while nobody can know."""
        state = self._state()
        return UNKNOWN if state is None else state.emergency or self._own

    def count(self, batch: Batch, judged: Judgement) -> None:
        """Note a batch as the policy judged it, before anything is put in its place."""
        rows = len(batch) - batch.items
        now = self._clocks.monotonic()
        for row, broken in judged.alarms.items():
            entity = batch.entities[row]
            self.begin(Reason(broken, f"an answer about {entity} ({batch.family}) broke it"))
        self._counts.note(_tally(judged, rows) if judged.violations else Tally(rows), now)
        for rule, drift in self._drifts.items():
            if (
                rule.family == batch.family
                and (column := batch.columns.get(rule.field)) is not None
            ):
                drift.note(column[:rows], now)

    def begin(self, why: Reason) -> None:
        """Turn the mode on here and now; `step` tells the others."""
        if self.now() is None:
            log.error("Emergency mode is on by the rule %s: %s", why.rule, why.reason)
            self._own = Emergency(
                since=self._clocks.wall(), by=RULES.name, reason=why.reason, rule=why.rule
            )
            self.wake.set()

    async def step(self) -> None:
        """Hold the rules against what all replicas counted; called every second."""
        self._forget_what_is_over()
        found = self._tallied()
        try:
            found_elsewhere = await self._shared(found)
        except REDIS_AWAY:
            found_elsewhere = []
        if self.now() is None and (why := self._broken([found, *found_elsewhere])) is not None:
            self.begin(why)
        if (own := self._own) is not None:
            await self._store.change(EmergencyOn(own.reason, own.rule), RULES, self._clocks.wall())

    async def leave(self) -> None:
        await self._redis.hdel(self._key, self._name)

    def _forget_what_is_over(self) -> None:
        """Drop what led to an emergency that an admin ended, or that everybody knows of by now."""
        state = self._state()
        if state is None:
            return
        if state.emergency is not None:
            self._own = None
        if state.released is not None and state.released > self._released:
            self._released, self._own = state.released, None
            self._counts.clear()
            for drift in self._drifts.values():
                drift.clear()

    def _tallied(self) -> Tallies:
        return tallies(self._rules, self._counts, self._clocks.monotonic())

    def _broken(self, found: Sequence[Tallies]) -> Reason | None:
        now = self._clocks.monotonic()
        for rule, drift in self._drifts.items():
            score = drift.score(now)
            if score is not None and score > rule.score:
                return Reason(
                    "drift",
                    f"the answers' {rule.field} ({rule.family}) are spread otherwise than they "
                    f"were: {score:.2f}, and the policy allows {rule.score:g}",
                )
        return first_broken(self._rules, found)

    async def _shared(self, own: Tallies) -> list[Tallies]:
        """Write down what was counted here, and read what the others counted since the same end."""
        now = self._clocks.wall()
        pipe = self._redis.pipeline(transaction=False)
        told = [list(each) for each in own]
        said = orjson.dumps({"at": now, "released": self._released, "tallies": told})
        pipe.hset(self._key, self._name, said)
        pipe.hgetall(self._key)
        _, found = await pipe.execute()
        read = {name.decode(errors="replace"): _told(each) for name, each in found.items()}
        written = {name: each for name, each in read.items() if each is not None}
        gone = [name for name, each in written.items() if now - each.at > ALIVE_SECONDS]
        if gone:
            await self._redis.hdel(self._key, *gone)
        return [
            each.tallies
            for name, each in written.items()
            if name not in (self._name, *gone) and each.released >= self._released
        ]


def _tally(judged: Judgement, rows: int) -> Tally:
    critical = int(np.count_nonzero(judged.levels[:rows] >= Level.CRITICAL.code))
    unanswered = sum(AWAY in found for row, found in judged.violations.items() if row < rows)
    return Tally(rows, critical, unanswered)


class _Told(NamedTuple):
    """What one replica wrote down."""

    at: float
    released: float
    tallies: Tallies


def _told(written: bytes) -> _Told | None:
    """Read it; what another release wrote must not keep the rules from being asked."""
    try:
        said = orjson.loads(written)
        critical, errors = (Tally(*map(int, each)) for each in said["tallies"])
        return _Told(float(said["at"]), float(said["released"]), Tallies(critical, errors))
    except (ValueError, KeyError, TypeError):
        return None
