"""An entity's online layer as keyed state: every outcome once, whatever dies.

Intervals of latencies and rates are widened by a factor, so scores and offsets are logarithms: a
score is how far the truth lies outside the base interval on that scale (models/online/adaptive.py).
The base interval is the one before the online layer: whoever has only the interval that a client
was given takes its offset out first (`base_end`).
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import orjson

from deployments.runtime.batch import Refusal
from deployments.runtime.coverage.operations import IntervalOutcome, TakeOutcome
from deployments.runtime.state.handler import Reply, StateRequest
from models.online.adaptive import AdaptiveInterval, AdaptiveSettings

# Outcomes that come twice are told from new ones by their decisions, for as long as these last.
KNOWN_DECISIONS = 4096
# An entity's interval with its latest scores, and one known decision.
STATE_BYTES, KNOWN_BYTES = 20_000, 100
# Latencies and rates of zero have no logarithm; below this they are zero to anybody. Above the
# other none is accepted (deployments/gateway/routes/outcomes.py). So no score is further from 0
# than their ratio's logarithm.
_LEAST, _MOST = 1e-9, 1e15
FURTHEST_SCORE = math.log(_MOST / _LEAST)
# An interval from a thousandth to a thousand times of what a model predicted says nothing that a
# plan could use, and where that does not hold the truth a factor is no remedy: no factor reaches
# zero. Without a bound one service that rests at night asks for workers by the million.
MOST_OFFSET = math.log(1_000)


class OutcomeEvent(NamedTuple):
    """One outcome, as it is written into the log (`event`)."""

    score: float
    issued: float
    """The offset that the interval had."""
    weight: float
    decision: str
    given: bool = True
    """Whether a client got the interval: what was withheld teaches, and is not counted."""

    def event(self) -> list[Any]:
        """Give what the log says of it: four places, for so many the first releases read.

        They know of no withheld outcomes. To them one is a gap, whose weight they never look at.
        """
        if self.given:
            return [self.score, self.issued, self.weight, self.decision]
        return [None, self.issued, [self.weight, self.score], self.decision]

    @classmethod
    def read(cls, event: Sequence[Any]) -> Self:
        """Read an event; for a while there was a fifth place, which said whether it was given."""
        score, issued, weight, decision, *given = event
        if isinstance(weight, list):
            (weight, score), given = weight, [False]
        # JSON has no infinity: one that was written comes back as null.
        return cls(_number(score), _number(issued), weight, decision, *given)


@dataclass(slots=True)
class Online:
    """One entity's state in one family."""

    interval: AdaptiveInterval = field(default_factory=AdaptiveInterval)
    known: deque[str] = field(default_factory=lambda: deque(maxlen=KNOWN_DECISIONS))

    def observe(self, taken: OutcomeEvent) -> bool:
        self.known.append(taken.decision)
        score = taken.score
        if math.isfinite(score):  # what is not is a gap, here as in a replay
            score = min(max(score, -FURTHEST_SCORE), FURTHEST_SCORE)
        return self.interval.observe(
            score, issued=taken.issued, weight=taken.weight, given=taken.given
        )

    def summary(self) -> dict[str, Any]:
        """Say what an answer and a dashboard show of it."""
        coverage = self.interval.coverage
        return {
            "offset": bounded(self.interval.offset) if self.interval.calibrated else 0.0,
            "outcomes": coverage.outcomes,
            "coverage": None if coverage.outcomes == 0 else coverage.so_far,
            "recent_coverage": None if coverage.recent_outcomes == 0 else coverage.recent,
            "holds": coverage.holds,
        }


class CoverageHandler:
    kind = "coverage"
    columns: tuple[str, ...] = ()

    def __init__(self, settings: AdaptiveSettings = AdaptiveSettings()) -> None:  # noqa: B008 - frozen
        self._settings = settings

    def fresh(self, key: str) -> Online:  # noqa: ARG002 - all begin alike
        return Online(AdaptiveInterval(self._settings))

    def encode(self, state: Online) -> bytes:
        known = orjson.dumps(list(state.known))
        return len(known).to_bytes(4, "little") + known + state.interval.encode()

    def decode(self, key: str, saved: bytes) -> Online:  # noqa: ARG002 - nothing depends on it
        end = 4 + int.from_bytes(saved[:4], "little")
        known = deque(orjson.loads(saved[4:end]), maxlen=KNOWN_DECISIONS)
        interval = AdaptiveInterval.decode(saved[end:])
        interval.drop_scores_beyond(FURTHEST_SCORE)
        return Online(interval, known)

    def release(self, state: Online) -> None:
        state.known.clear()

    def size(self, state: Online) -> int:
        return STATE_BYTES + KNOWN_BYTES * len(state.known)

    def give_back(self) -> None:
        """Hold nothing beside the states themselves."""

    def replay(self, tails: Sequence[tuple[Online, list[list[Any]]]]) -> None:
        for state, events in tails:
            for event in events:
                state.observe(OutcomeEvent.read(event))

    def answer(
        self, rows: Sequence[tuple[Online, StateRequest[TakeOutcome]]]
    ) -> list[Reply[list[Any]]]:
        return [self._answer(state, request.ask) for state, request in rows]

    def removal(self, _: StateRequest[TakeOutcome]) -> None:
        return None

    def repeat_reply(  # it says how things stand
        self,
        state: Online,
        request: StateRequest[TakeOutcome],  # noqa: ARG002 - see above
    ) -> Reply[list[Any]]:
        return Reply(detail={"data": state.summary()})

    def withdraw(self, state: Online, request: StateRequest[TakeOutcome]) -> None:
        """Let it stand: sent again, it is known by its decision."""

    def unavailable(self, _: StateRequest[TakeOutcome]) -> Refusal | None:
        return {
            "code": "unavailable",
            "message": "Redis cannot be reached, and the outcome was not accepted: send it again",
        }

    def _answer(self, state: Online, ask: TakeOutcome) -> Reply[list[Any]]:
        decision = ask["decision"]
        if decision in state.known:
            why = f"The outcome of decision {decision} has already been counted"
            return Reply(refusal={"code": "conflict", "message": why})
        taken = OutcomeEvent(score(ask), ask["offset"], 1.0, decision, ask.get("given", True))
        held = state.observe(taken)
        return Reply(detail={"data": {"held": held, **state.summary()}}, event=taken.event())


def score(ask: IntervalOutcome) -> float:
    """Say how far the truth lies outside the base interval."""
    ends = ask["lower"], ask["truth"], ask["upper"]
    lower, truth, upper = (math.log(max(each, _LEAST)) for each in ends)
    return max(lower - truth, truth - upper)


def base_ends(lower: float, upper: float, offset: float) -> tuple[float, float]:
    """Take the offset out of an interval as a client was given it.

    By multiplying: an end of zero is zero whatever its offset was. Added to the logarithm of what
    stands for zero, the offset would count as a miss of its own size, and so feed itself.
    """
    factor = math.exp(min(max(offset, -FURTHEST_SCORE), FURTHEST_SCORE))
    return lower * factor, upper / factor


def bounded(offset: float) -> float:
    """Bound an offset, also one that an earlier release wrote; what is no number widens nothing."""
    return 0.0 if math.isnan(offset) else min(max(offset, -MOST_OFFSET), MOST_OFFSET)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
