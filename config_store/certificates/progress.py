"""What the judge knows of the step that is judged now, in Redis: to go on from, and to be shown.

The examination is what a restarted judge needs. The points are for people: one for each look, of
the last step that was looked at, and they stay until another step has its first.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ValidationError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from config_store.certificates.certificate import Look, MetricAt
from config_store.certificates.plan import Plan
from config_store.records import read_record
from models.evidence.margins import Margins
from models.evidence.verdict import Interval, Verdict
from settings.frozen import Frozen
from settings.redis_names import redis_name

# Three and a half days of looks, a minute each.
MOST_POINTS = 5_000
DIGITS = 6


class MetricPoint(Frozen):
    """A metric at a look: how near the verdicts are, and where the candidate's excess lies."""

    verdict: Verdict
    bad: float = Field(description="Evidence for bad, as a part of what is needed: 1 is enough.")
    good: float = Field(description="Evidence for good, as a part of what is needed.")
    lower: float | None = Field(
        description="The candidate is worse by at least this: a difference of shares where the "
        "margin is absolute, a part of the active version's value where it is relative. Null where "
        "nothing is known yet."
    )
    upper: float | None = Field(description="The candidate is worse by at most this.")


class Point(Frozen):
    """What a look at a step has found; the ends hold at all looks at once."""

    rollout: str
    step: int = Field(description="Counted from 0.")
    number: int = Field(ge=1, description="Of the looks at this step, which one it is.")
    at: float = Field(description="Epoch seconds; it saw all rows of before.")
    rows: int
    verdict: Verdict
    reason: str
    metrics: dict[str, MetricPoint]

    @classmethod
    def of(cls, plan: Plan, number: int, look: Look, excess: Mapping[str, Interval]) -> Self:
        return cls(
            rollout=plan.rollout,
            step=plan.step,
            number=number,
            at=look.at,
            rows=look.rows,
            verdict=look.verdict,
            reason=look.reason,
            metrics={
                name: _metric_point(plan.margins, metric, excess[name])
                for name, metric in look.metrics.items()
            },
        )


class StepProgress:
    """Raises what an absent Redis raises."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis_name(redis, "config", "evidence")
        self._points_key = redis_name(redis, "config", "evidence", "points")
        # Points that a full Redis refused: their numbers leave no gap once it takes them.
        self._waiting: list[Point] = []

    async def examination(self) -> bytes | None:
        """Give what was kept by the last look."""
        found: Any = await self._redis.get(self._key)
        kept: bytes | None = found
        return kept

    async def keep(self, examination: bytes, point: Point) -> None:
        """Keep both in one step: a judge that dies has them of the same look.

        ResponseError says that Redis is full, or that something else is in the place of the points;
        the point is kept with a later look's then.
        """
        earlier = [] if point.number == 1 else self._waiting
        points, self._waiting = [*earlier, point][-MOST_POINTS:], []
        pipe = self._redis.pipeline(transaction=True)
        pipe.set(self._key, examination)
        if points[0].number == 1:
            pipe.delete(self._points_key)
        pipe.rpush(self._points_key, *(each.model_dump_json() for each in points))
        pipe.ltrim(self._points_key, -MOST_POINTS, -1)
        try:
            await pipe.execute()
        except ResponseError:
            self._waiting = points
            raise

    async def points(self, rollout: str, step: int, after: int, limit: int) -> list[Point]:
        """Give the looks at a step after this number; none of a step whose time is over."""
        first: Any = await self._redis.lindex(self._points_key, 0)
        oldest = None if first is None else _read(first)
        if oldest is None:
            return []
        begin = max(0, after + 1 - oldest.number)
        found: Any = await self._redis.lrange(self._points_key, begin, begin + limit - 1)
        return [
            each
            for each in map(_read, found)
            if each is not None
            and (each.rollout, each.step) == (rollout, step)
            and each.number > after
        ]


def _read(point: bytes) -> Point | None:
    """Read a point; one that another release wrote otherwise is not shown."""
    try:
        return read_record(Point, point)
    except ValidationError:
        return None


def _metric_point(margins: Margins, metric: MetricAt, excess: Interval) -> MetricPoint:
    # Where keys are judged too, both have to agree: a verdict waits for the lesser of the two.
    both = ((metric.bad, metric.good), metric.by_keys or (metric.bad, metric.good))
    bad, good = (min(each) for each in zip(*both, strict=True))
    needed_bad, needed_good = margins.needed
    lower, upper = excess
    return MetricPoint(
        verdict=metric.verdict,
        bad=round(bad / needed_bad, DIGITS),
        good=round(good / needed_good, DIGITS),
        lower=None if lower is None else round(lower, DIGITS),
        upper=None if upper is None else round(upper, DIGITS),
    )
