"""Whether emergency mode is on here: by the steering state, or by a rule that just broke.

Each replica counts what it judges, and every second tells the others and reads what they counted. A
rule that breaks turns the mode on for all; one that only a rollout's candidate breaks ends the
rollout. While Redis is away either is so here at once, and everywhere as soon as it can be written.
What neither is known to be in force nor to be a candidate waits until it is one of both.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from redis.asyncio import Redis

from access.keys import Role
from config_store.errors import RefusedChangeError
from config_store.steering.commands import Abort, Actor, EmergencyOn
from config_store.steering.state import Emergency, Rollout
from config_store.steering.store import SteeringStore
from deployments.runtime.batch import Batch, Judgement
from deployments.runtime.clocks import Clocks
from deployments.safety.held_rules import HeldRules
from deployments.safety.judge import AWAY
from deployments.safety.shared_counts import Counted, SharedCounts
from deployments.safety.standing import (
    Standing,
    Steering,
    begun_of,
    candidate_of,
    standing_of,
)
from safety.emergency import EmergencyRules, Reason, Tally
from safety.limits import Level
from settings.redis_connection import REDIS_AWAY

log = logging.getLogger(__name__)

UNKNOWN = Emergency(since=0.0, by="", reason="whether there is one cannot be read from Redis")
RULES = Actor("the safety rules", Role.OPERATOR)
# A replica that reads Redis at all knows by then what a version is that answers.
KNOWN_WITHIN_SECONDS = 60.0
SETTLED = {Standing.IN_FORCE, Standing.CANDIDATE}
# By so much clocks of machines may differ.
SKEW_SECONDS = 1.0


class _GivenUp(NamedTuple):
    """A candidate that broke a rule: it answers its fallback here until its rollout has ended."""

    rollout: str
    version: int
    why: Reason


class _Alarm(NamedTuple):
    """A limit that calls for an emergency, broken by what is not known to be in force."""

    at: float
    why: Reason


class Emergencies:
    """One for each safety replica."""

    def __init__(self, redis: Redis, clocks: Clocks, steering: Steering) -> None:
        """Take the steering state as it is known here."""
        self._clocks = clocks
        self._steering = steering
        self._store = SteeringStore(redis)
        self._counts = SharedCounts(redis, clocks)
        self._rules = HeldRules()
        # What a rule of this replica began, until the steering state has it.
        self._own: Emergency | None = None
        self._given_up: _GivenUp | None = None
        self._unsettled: dict[int, _Alarm] = {}
        # Set when there is something to tell that cannot wait for the next second.
        self.wake = asyncio.Event()

    def configure(self, rules: EmergencyRules) -> None:
        """Take over the rules of the active version; what was counted stays."""
        self._rules.configure(rules)

    def now(self) -> Emergency | None:
        """Give the emergency that is on; one is while nobody can know."""
        state = self._steering.value
        return UNKNOWN if state is None else state.emergency or self._own

    def why(self, version: int) -> str:
        """Say why this version's answers are the fallback's; empty where they are the models'."""
        if (emergency := self.now()) is not None:
            return _why(f" ({emergency.reason})")
        given_up = self._given_up
        if given_up is not None and given_up.version == version:
            return _why_alone(version, given_up.why, "its rollout has ended")
        alarm = self._unsettled.get(version)
        if alarm is not None and self._standing(version) is Standing.UNKNOWN:
            return _why_alone(version, alarm.why, "it is known here what it is")
        return ""

    def count(self, batch: Batch, judged: Judgement) -> None:
        """Note a batch as the policy judged it, before anything is put in its place."""
        rows = len(batch) - batch.items
        now = self._clocks.monotonic()
        for row, broken in judged.alarms.items():
            entity = batch.entities[row]
            why = Reason(broken, f"an answer about {entity} ({batch.family}) broke it")
            self._alarmed(batch.version, why)
        tally = _tally(batch, judged, rows) if judged.violations else Tally(rows)
        self._counts.note(batch.version, tally, now)
        if self._rules.watch_drift and self._standing(batch.version) is Standing.IN_FORCE:
            self._rules.note(batch, rows, now)

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
        self._settle()
        own = self._counted()
        try:
            found = [own, *await self._counts.share(own)]
        except REDIS_AWAY:
            found = [own]
        if self.now() is None:
            self._hold(found)
        await self._tell()

    async def leave(self) -> None:
        await self._counts.leave()

    def _alarmed(self, version: int, why: Reason) -> None:
        """Go by a limit that calls for an emergency, and was broken by this version."""
        standing, rollout = self._standing(version), candidate_of(self._steering.value, version)
        if rollout is not None:
            self._give_up(rollout, why)
        elif standing is Standing.IN_FORCE:
            self.begin(why)
        elif self.now() is None:
            if version not in self._unsettled:
                log.warning(
                    "Version %d broke the rule %s, and is not known to be in force here: %s",
                    version,
                    why.rule,
                    why.reason,
                )
            self._unsettled[version] = _Alarm(self._clocks.wall(), why)

    def _settle(self) -> None:
        """Go by the alarms of versions of which it is known by now what they are.

        What a version did before its rollout is nothing against it.
        """
        now = self._clocks.wall()
        unsettled, self._unsettled = self._unsettled, {}
        for version, alarm in unsettled.items():
            if self._standing(version) in SETTLED:
                if alarm.at >= begun_of(self._steering.value, version) - SKEW_SECONDS:
                    self._alarmed(version, alarm.why)
            elif now - alarm.at < KNOWN_WITHIN_SECONDS:
                self._unsettled[version] = alarm

    def _give_up(self, rollout: Rollout, why: Reason) -> None:
        """Let the candidate's answers be the fallback's from now on; `step` ends its rollout."""
        given_up = self._given_up
        if self.now() is None and (given_up is None or given_up.rollout != rollout.id):
            log.error(
                "Version %d is given up by the rule %s: %s", rollout.candidate, why.rule, why.reason
            )
            self._given_up = _GivenUp(rollout.id, rollout.candidate, why)
            self.wake.set()

    def _standing(self, version: int) -> Standing:
        return standing_of(version, self._steering)

    def _forget_what_is_over(self) -> None:
        """Drop what led to an emergency that an admin ended, or that everybody knows of by now."""
        state = self._steering.value
        if state is None:
            return
        if state.emergency is not None:
            self._own = None
        if self._counts.follow(state):
            self._own = None
            self._unsettled.clear()
            self._rules.forget()
        self._leave_given_up(state.active, state.rollout)

    def _leave_given_up(self, active: int, rollout: Rollout | None) -> None:
        """Go back to the models once the rollout has ended; if by its last step, for all the worse.

        The candidate may have become active in the very moment in which it broke the rule.
        """
        given_up = self._given_up
        if given_up is None or (rollout is not None and given_up.rollout == rollout.id):
            return
        self._given_up = None
        if active == given_up.version:
            self.begin(given_up.why)

    def _counted(self) -> Counted:
        wall, now = self._clocks.wall(), self._clocks.monotonic()
        rules, rollout = self._rules.rules, self._rollout
        return self._counts.counted(rules, self._standing, rollout, wall, now)

    @property
    def _rollout(self) -> Rollout | None:
        state = self._steering.value
        return None if state is None else state.rollout

    def _hold(self, found: Sequence[Counted]) -> None:
        rollout = self._rollout
        platform = [each.platform for each in found]
        if (why := self._rules.broken(platform, self._clocks.monotonic())) is not None:
            self.begin(why)
        elif rollout is not None:
            candidate = [each.candidate for each in found if each.rollout == rollout.id]
            if (why := self._rules.broken_by(candidate, platform)) is not None:
                self._give_up(rollout, why)

    async def _tell(self) -> None:
        """Write down what began here."""
        now = self._clocks.wall()
        if (own := self._own) is not None:
            await self._store.change(EmergencyOn(own.reason, own.rule), RULES, now)
        elif (given_up := self._given_up) is not None:
            rule, reason = given_up.why
            ends = Abort(given_up.rollout, f"the candidate broke the safety rule {rule}: {reason}")
            try:
                await self._store.change(ends, RULES, now)
            except RefusedChangeError as refused:  # the next state says what became of it
                log.warning("The rollout is not aborted: %s", refused)


def _why(reason: str = "") -> str:
    return f"Emergency mode is on{reason}: every family answers its fallback"


def _why_alone(version: int, why: Reason, until: str) -> str:
    return (
        f"Emergency mode is on for version {version} alone ({why.reason}): what it answers is the "
        f"fallback, until {until}"
    )


# The gateway may know of an emergency that is not known here.
SOMEWHERE = _why()


def _tally(batch: Batch, judged: Judgement, rows: int) -> Tally:
    """Count a batch; a gateway that knows of an emergency may not have asked the model at all."""
    critical = int(np.count_nonzero(judged.levels[:rows] >= Level.CRITICAL.code))
    if batch.emergency:
        return Tally(rows, critical)
    unanswered = sum(AWAY in found for row, found in judged.violations.items() if row < rows)
    return Tally(rows, critical, unanswered)
