"""What is known of the step that is judged now, in a real Redis."""

import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, ResponseError

from config_store.certificates import progress
from config_store.certificates.examination import Examination
from config_store.certificates.plan import Plan
from config_store.certificates.progress import Point, StepProgress
from tests.config_store.certificates.step import NOW, Rows, chain, plan_of

PLAN = plan_of(paired=False)


def points_of(count: int, plan: Plan = PLAN, **worse: object) -> list[Point]:
    examination = Examination(plan)
    entries = chain("gw-a", Rows().canary(count * 100, **worse))
    points = []
    for at in range(count):
        look = examination.look(NOW + 60 * at, entries[2 * at : 2 * at + 2])
        points.append(Point.of(plan, at + 1, look, examination.excess()))
    return points


def test_a_point_says_how_near_each_verdict_is_and_where_the_excess_lies() -> None:
    points = points_of(12, allowed=False)
    first, last = points[0].metrics["violation_rate"], points[-1].metrics["violation_rate"]
    assert (last.verdict, last.bad >= 1.0, last.good) == ("bad", True, 0.0)
    assert first.bad < last.bad
    assert last.lower is not None
    assert last.lower >= 0.05
    assert (points[-1].verdict, points[-1].rows, points[-1].number) == ("bad", 1200, 12)


async def test_all_looks_at_a_step_are_given_a_page_at_a_time(redis: Redis) -> None:
    store, points = StepProgress(redis), points_of(5)
    assert await store.examination() is None
    assert await store.points(PLAN.rollout, 1, 0, 10) == []
    for point in points:
        await store.keep(b"%d" % point.number, point)
    assert await store.examination() == b"5"
    assert await store.points(PLAN.rollout, 1, 0, 10) == points
    assert await store.points(PLAN.rollout, 1, 0, 2) == points[:2]
    assert await store.points(PLAN.rollout, 1, 2, 2) == points[2:4]
    assert await store.points(PLAN.rollout, 1, 5, 2) == []
    assert await store.points("another", 1, 0, 10) == []
    assert await store.points(PLAN.rollout, 0, 0, 10) == []


async def test_another_step_begins_anew(redis: Redis) -> None:
    store = StepProgress(redis)
    following = points_of(1, PLAN.model_copy(update={"step": 2}))
    for point in (*points_of(2), *following):
        await store.keep(b"", point)
    assert await store.points(PLAN.rollout, 1, 0, 10) == []
    assert await store.points(PLAN.rollout, 2, 0, 10) == following


async def test_of_very_many_looks_the_last_are_kept(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "MOST_POINTS", 3)
    store, points = StepProgress(redis), points_of(5)
    for point in points:
        await store.keep(b"", point)
    assert await store.points(PLAN.rollout, 1, 0, 10) == points[2:]
    assert await store.points(PLAN.rollout, 1, 3, 10) == points[3:]


async def test_looks_that_a_full_redis_refused_are_kept_with_the_next_one(redis: Redis) -> None:
    store, points = StepProgress(redis), points_of(4)
    await store.keep(b"1", points[0])
    await redis.config_set("maxmemory", 1)
    for point in points[1:3]:
        with pytest.raises(OutOfMemoryError):
            await store.keep(b"", point)
    await redis.config_set("maxmemory", 0)
    await store.keep(b"4", points[3])
    assert await store.examination() == b"4"
    assert await store.points(PLAN.rollout, 1, 0, 10) == points


async def test_looks_that_have_no_place_are_kept_once_what_is_there_is_removed(
    redis: Redis,
) -> None:
    store, points = StepProgress(redis), points_of(2, PLAN)
    await redis.set("ballast:config:evidence:points", "something else")
    later = [each.model_copy(update={"number": each.number + 1}) for each in points]
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await store.keep(b"2", later[0])
    await redis.delete("ballast:config:evidence:points")
    await store.keep(b"3", later[1])
    assert await store.points(PLAN.rollout, 1, 0, 10) == later
