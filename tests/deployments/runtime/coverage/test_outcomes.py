import asyncio
import math
from typing import Any

import numpy as np
import orjson
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deployments.api.errors import ConflictError, UnavailableError
from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.coverage.handler import (
    FURTHEST_SCORE,
    MOST_OFFSET,
    CoverageHandler,
    base_ends,
    score,
)
from deployments.runtime.coverage.offsets_table import key_of, offsets_key
from deployments.runtime.coverage.online_offsets import OnlineOffsets, Widened
from deployments.runtime.coverage.operations import GivenInterval, IntervalOutcome, TakeOutcome
from deployments.runtime.coverage.outcomes import OutcomeRecorder
from deployments.runtime.state.entries import Append, Entry
from deployments.runtime.state.log import KeyLog
from models.online.adaptive import AdaptiveInterval
from tests.redis_server import RedisServer


def clock() -> float:
    return 0.0


def base_of(widened: Widened) -> GivenInterval:
    """Read off a client's interval what it was before the online layer, as the gateway does."""
    (told,) = widened.records
    offset = told["offset"] if told else 0.0
    lower, upper = base_ends(float(widened.lower[0]), float(widened.upper[0]), offset)
    return {"lower": lower, "upper": upper, "offset": offset}


async def tell(
    outcomes: OutcomeRecorder, online: OnlineOffsets, n: int, spread: float, seed: int
) -> float:
    """Tell so many outcomes of intervals of a fixed base width; give the share that was held."""
    draw = np.random.default_rng(seed)
    held = 0
    for at in range(n):
        base = np.array([20 / math.e]), np.array([20 * math.e])
        widened = online.widen(["auth"], *base)
        ask: TakeOutcome = {
            "decision": f"{seed}-{at}",
            **base_of(widened),
            "truth": 20 * math.exp(spread * draw.normal()),
            "given": True,
        }
        found = await outcomes.take("tail", "auth", ask)
        held += found["held"]
        assert found["outcomes"] >= at + 1
        await online.refresh()
    return held / n


async def test_intervals_that_miss_too_often_are_widened_until_they_hold(redis: Redis) -> None:
    outcomes, online = OutcomeRecorder(redis, clock), OnlineOffsets(redis, "tail")
    assert not online
    await tell(outcomes, online, 150, 1.5, 1)
    assert 0.86 < await tell(outcomes, online, 300, 1.5, 2) < 0.94
    assert 0.86 < await tell(outcomes, online, 300, 0.5, 3) < 0.97  # and drawn in again
    coverage = online.mean_coverage()
    assert coverage is not None
    assert 0.85 < coverage < 0.95


@pytest.mark.parametrize("base", [(0.0, 0.0), (0.0, 50.0)])
async def test_hours_at_zero_do_not_widen_the_intervals(
    redis: Redis, base: tuple[float, float]
) -> None:
    outcomes, online = OutcomeRecorder(redis, clock), OnlineOffsets(redis, "tail")
    await tell(outcomes, online, 60, 1.5, 1)
    before = float(online.offsets(["auth"])[0])
    assert before > 0.5
    lower, upper = (np.array([each]) for each in base)
    for at in range(60):
        ask = base_of(online.widen(["auth"], lower, upper))
        zero: TakeOutcome = {**ask, "decision": f"zero {at}", "truth": 0.0, "given": True}
        await outcomes.take("tail", "auth", zero)
        await online.refresh()
        assert float(online.offsets(["auth"])[0]) <= before


async def test_misses_of_any_size_widen_a_thousandfold_at_most(redis: Redis) -> None:
    outcomes, online = OutcomeRecorder(redis, clock), OnlineOffsets(redis, "tail")
    for at in range(40):
        ask: IntervalOutcome = {
            "lower": 1.0,
            "upper": 2.0,
            "offset": 0.0,
            "truth": 10.0 ** (at % 16),
        }
        found = await outcomes.take("tail", "auth", {**ask, "decision": str(at), "given": True})
        assert found["offset"] <= MOST_OFFSET
    await online.refresh()
    assert online.offsets(["auth"]) == pytest.approx(math.log(1_000))


async def test_what_an_earlier_release_learned_out_of_bounds_is_repaired(redis: Redis) -> None:
    """A snapshot and a log entry with scores that no outcome can have, and such a standing."""
    log, handler, key = KeyLog(redis, "coverage"), CoverageHandler(), key_of("tail", "auth")
    state = handler.fresh(key)
    state.interval = AdaptiveInterval(scores=[0.1] * 30 + [13.9, 454.0, 3720.0] * 10)
    events = [[454.0, 454.0, 1.0, "a"], [None, None, 1.0, "b"]]
    assert await log.append([Append.of(key, 1, Entry([], ["1"]), begins=True)]) == [True]
    assert await log.save(key, 1, handler.encode(state), ["1"])
    assert await log.append([Append.of(key, 2, Entry(events, ["2"]))]) == [True]
    table = offsets_key(redis)
    await redis.hset(table, key, b'{"outcomes":1,"coverage":0.0,"offset":3720.0}')
    await redis.hset(table, key_of("tail", "orders"), b'{"outcomes":1,"coverage":0,"offset":null}')

    online = OnlineOffsets(redis, "tail")
    await online.refresh()
    widened = online.widen(["auth", "orders"], np.ones(2), np.ones(2))
    assert widened.upper == pytest.approx([1_000.0, 1.0])
    outcomes = OutcomeRecorder(redis, clock)
    ask: TakeOutcome = {"decision": "c", "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 1.5}
    found = await outcomes.take("tail", "auth", ask)
    assert (found["held"], found["outcomes"]) == (True, 2)
    assert found["offset"] <= MOST_OFFSET
    await outcomes.close()  # writes a snapshot
    (saved,) = await log.read([key])
    assert saved.state is not None
    assert np.max(handler.decode(key, saved.state).interval._scores) <= FURTHEST_SCORE


def read_as_the_first_releases(events: list[list[Any]]) -> tuple[AdaptiveInterval, list[str]]:
    """Replay events as they did: four places, and a score that is not finite is a gap."""
    interval, known = AdaptiveInterval(), list[str]()
    for outside, issued, weight, decision in events:
        known.append(decision)
        number = math.nan if outside is None else outside
        interval.observe(number, issued=math.nan if issued is None else issued, weight=weight)
    return interval, known


async def test_the_first_releases_read_what_is_written_now(redis: Redis) -> None:
    outcomes, log, key = OutcomeRecorder(redis, clock), KeyLog(redis, "coverage"), "tail|auth"
    expected = AdaptiveInterval()
    for at, truth in enumerate([1.5, 5.0, 0.5, 1.0, 3.0] * 3):
        ask: IntervalOutcome = {"lower": 1.0, "upper": 2.0, "offset": 0.1, "truth": truth}
        given = at % 3 != 1
        await outcomes.take("tail", "auth", {**ask, "decision": f"d{at}", "given": given})
        if given:
            expected.observe(score(ask), issued=0.1)
    (saved,) = await log.read([key])
    events = [event for entry in saved.tail for event in entry.events]
    interval, known = read_as_the_first_releases(events)
    assert known == [f"d{at}" for at in range(15)]
    assert interval.encode() == expected.encode()  # what was withheld was not counted then


async def test_what_was_withheld_teaches_whoever_reads_the_log(redis: Redis) -> None:
    """In the form that is written now, and in the one of five places that came before it."""
    log, key = KeyLog(redis, "coverage"), key_of("tail", "auth")
    outcomes, later = OutcomeRecorder(redis, clock), OutcomeRecorder(redis, clock)
    ask: IntervalOutcome = {"lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 5.0}
    for at in range(9):
        await outcomes.take("tail", "auth", {**ask, "decision": f"d{at}", "given": False})
    five = [[0.2, 0.0, 1.0, "five", False], [0.2, 0.0, 1.0, "given", True]]
    assert await log.append([Append.of(key, 10, Entry(five, ["five"]))]) == [True]
    found = await later.take("tail", "auth", {**ask, "decision": "last", "given": True})
    assert found["outcomes"] == 2
    assert found["offset"] == pytest.approx(math.log(5 / 2))


DAMAGED = {
    "cut": b'{"outcomes":50,"cov',
    "list": b"[1]",
    "bare": b"{}",
    "words": b'{"outcomes":"many","coverage":1.0,"offset":0.5}',
    "uncovered": b'{"outcomes":50,"coverage":null,"offset":0.5}',
    "text": b'{"outcomes":50,"coverage":1.0,"offset":"wide"}',
}


async def test_a_standing_that_cannot_be_read_takes_none_from_the_others(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    table = offsets_key(redis)
    good = b'{"outcomes":50,"coverage":0.9,"offset":0.5}'
    await redis.hset(table, key_of("tail", "auth"), good)
    await redis.hset(table, b"tail|\xff", good)
    for entity, written in DAMAGED.items():
        await redis.hset(table, key_of("tail", entity), written)
    online = OnlineOffsets(redis, "tail")
    for _ in range(2):
        await online.refresh()
        assert online.offsets(["auth", *DAMAGED]).tolist() == [0.5, *[0.0] * len(DAMAGED)]
        assert online.mean_coverage() == pytest.approx(0.9)
    assert len(caplog.messages) == len(DAMAGED)  # each is said once
    for turn, written in enumerate((good, DAMAGED["cut"]), 1):
        await redis.hset(table, key_of("tail", "cut"), written)
        await redis.zadd("ballast:coverage:recent:tail", {"cut": turn})
        await online.refresh()
        assert online.offsets(["auth", "cut"]).tolist() == [0.5, 0.5 if turn == 1 else 0.0]
    assert len(caplog.messages) == len(DAMAGED) + 1  # it was damaged anew


async def test_ends_that_are_drawn_in_meet_and_do_not_cross(redis: Redis) -> None:
    """Learned from wide intervals, an offset may be more than half of a narrow one."""
    standing = b'{"outcomes":50,"coverage":1.0,"offset":-1.0}'
    await redis.hset(offsets_key(redis), key_of("tail", "auth"), standing)
    online = OnlineOffsets(redis, "tail")
    await online.refresh()
    wide, narrow, zero = (1.0, 100.0), (4.0, 9.0), (0.0, 9.0)
    lower, upper = (np.array([each]) for each in zip(wide, narrow, zero, strict=True))
    found = online.widen(["auth"], lower, upper)
    assert found.lower[0] == pytest.approx([math.e, 6.0, 0.0])
    assert found.upper[0] == pytest.approx([100 / math.e, 6.0, 9 / math.e])


async def test_another_familys_or_entitys_intervals_stay_as_they_are(redis: Redis) -> None:
    outcomes = OutcomeRecorder(redis, clock)
    online, other = OnlineOffsets(redis, "tail"), OnlineOffsets(redis, "capacity")
    await tell(outcomes, online, 60, 3.0, 1)
    await other.refresh()
    assert not other
    lower, upper = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    widened = online.widen(["auth", "nobody"], lower, upper)
    assert widened.upper[0] > 3.0
    assert (widened.lower[1], widened.upper[1]) == (2.0, 4.0)
    assert widened.records[1] is None
    hours = online.widen(["auth"], np.ones((1, 24)), np.ones((1, 24)))
    assert np.unique(hours.upper).size == 1
    assert hours.upper[0, 0] == pytest.approx(widened.upper[0] / 3.0)


async def test_an_outcome_counts_once_and_outlives_its_teller(redis: Redis) -> None:
    ask: TakeOutcome = {"decision": "d", "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 5.0}
    first = await OutcomeRecorder(redis, clock).take("tail", "auth", ask)
    assert (first["held"], first["outcomes"], first["coverage"]) == (False, 1, 0.0)
    with pytest.raises(ConflictError):
        await OutcomeRecorder(redis, clock).take("tail", "auth", ask)


async def test_what_could_not_be_shown_when_it_was_counted_is_shown_when_it_is_sent_again(
    server: RedisServer, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis goes away between the entry and the table, and the retry is a conflict."""
    outcomes, online = OutcomeRecorder(redis, clock), OnlineOffsets(redis, "tail")
    ask: TakeOutcome = {"decision": "d", "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 5.0}
    answer = outcomes._service.answer

    async def last_answer(*given: Any) -> Prediction:
        found = await answer(*given)
        server.kill()
        return found

    monkeypatch.setattr(outcomes._service, "answer", last_answer)
    with pytest.raises((RedisError, OSError)):
        await outcomes.take("tail", "auth", ask)
    monkeypatch.undo()
    server.start()
    await online.refresh()
    assert online.records(["auth"]) == [None]
    for late in (outcomes, OutcomeRecorder(redis, clock)):
        with pytest.raises(ConflictError):
            await late.take("tail", "auth", ask)
        await online.refresh()
        (told,) = online.records(["auth"])
        assert told is not None
        assert told["outcomes"] == 1
        await redis.delete(offsets_key(redis))


async def test_what_redis_lost_counts_anew_where_it_was_taken_too(redis: Redis) -> None:
    """A restart without its data is no reason to say that what is nowhere was counted."""
    outcomes, online = OutcomeRecorder(redis, clock), OnlineOffsets(redis, "tail")
    ask: TakeOutcome = {"decision": "d", "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 5.0}
    await outcomes.take("tail", "auth", {**ask, "decision": "before"})
    await outcomes.take("tail", "auth", ask)
    await redis.flushall()
    assert (await outcomes.take("tail", "auth", ask))["outcomes"] == 1
    await online.refresh()
    assert online.mean_coverage() == 0.0
    with pytest.raises(ConflictError):
        await outcomes.take("tail", "auth", ask)


async def test_many_tellers_at_once_lose_and_double_nothing(redis: Redis) -> None:
    tellers = [OutcomeRecorder(redis, clock) for _ in range(4)]

    async def some(which: int) -> int:
        taken = 0
        for at in range(30):
            given: GivenInterval = {"lower": 1.0, "upper": 2.0, "offset": 0.0}
            try:
                ask: TakeOutcome = {
                    **given,
                    "truth": 1.5,
                    "decision": f"{which}-{at}",
                    "given": True,
                }
                await tellers[which].take("tail", "auth", ask)
            except UnavailableError:
                continue
            taken += 1
        return taken

    taken = sum(await asyncio.gather(*(some(which) for which in range(4))))
    ask: TakeOutcome = {"decision": "last", "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 1.5}
    assert (await OutcomeRecorder(redis, clock).take("tail", "auth", ask))["outcomes"] == taken + 1


async def test_a_teller_that_is_late_says_nothing_old(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, other, online = (
        OutcomeRecorder(redis, clock),
        OutcomeRecorder(redis, clock),
        OnlineOffsets(redis, "tail"),
    )
    counted, go_on = asyncio.Event(), asyncio.Event()
    answer = late._service.answer

    async def stopped(*given: Any) -> Prediction:
        found = await answer(*given)
        counted.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(late._service, "answer", stopped)

    def ask(decision: str) -> TakeOutcome:
        return {"decision": decision, "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 1.5}

    first = asyncio.create_task(late.take("tail", "auth", ask("first")))
    await counted.wait()
    second = await other.take("tail", "auth", ask("second"))
    go_on.set()
    assert ((await first)["outcomes"], second["outcomes"]) == (1, 2)
    await online.refresh()
    (told,) = online.records(["auth"])
    assert told is not None
    assert told["outcomes"] == 2


@pytest.mark.parametrize("in_one_process", [False, True])
async def test_what_was_withheld_is_published_in_the_order_of_the_log(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, *, in_one_process: bool
) -> None:
    """It moves the offset, and the number of outcomes stays as it is."""
    late, online = OutcomeRecorder(redis, clock), OnlineOffsets(redis, "tail")
    other = late if in_one_process else OutcomeRecorder(redis, clock)
    counted, go_on = asyncio.Event(), asyncio.Event()
    answer = late._service.answer

    async def stopped(batch: Batch, *given: Any) -> Prediction:
        found = await answer(batch, *given)
        if batch.asks[0]["decision"] == "late":
            counted.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(late._service, "answer", stopped)

    def withheld(decision: str, truth: float) -> TakeOutcome:
        ask: IntervalOutcome = {"lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": truth}
        return {**ask, "decision": decision, "given": False}

    for at in range(9):
        await other.take("tail", "auth", withheld(f"before {at}", 400.0))
    first = asyncio.create_task(late.take("tail", "auth", withheld("late", 400.0)))
    await counted.wait()
    for at in range(150):
        latest = await other.take("tail", "auth", withheld(f"after {at}", 1.5))
    go_on.set()
    assert (await first)["offset"] != latest["offset"]
    await online.refresh()
    assert online.offsets(["auth"]).tolist() == [latest["offset"]]


async def test_while_redis_is_away_nothing_is_taken(server: RedisServer, redis: Redis) -> None:
    outcomes, online = OutcomeRecorder(redis, clock), OnlineOffsets(redis, "tail")
    await tell(outcomes, online, 30, 3.0, 1)
    before = online.offsets(["auth"])
    server.kill()
    ask: TakeOutcome = {"decision": "d", "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 5.0}
    with pytest.raises(UnavailableError):
        await outcomes.take("tail", "auth", ask)
    await online.refresh()
    assert online.offsets(["auth"]) == before
    server.start()
    assert (await outcomes.take("tail", "auth", ask))["outcomes"] == 31


@pytest.mark.parametrize("damaged", [b"{", b"{}", b"[]", b'{"outcomes": null}', b"7"])
async def test_a_damaged_standing_is_written_over(redis: Redis, damaged: bytes) -> None:
    outcomes, key = OutcomeRecorder(redis, clock), key_of("tail", "auth")
    await redis.hset(offsets_key(redis), key, damaged)
    ask: TakeOutcome = {"decision": "d", "lower": 1.0, "upper": 9.0, "offset": 0.0, "truth": 5.0}
    found = await outcomes.take("tail", "auth", ask)
    assert found["outcomes"] == 1
    stands = await redis.hget(offsets_key(redis), key)
    assert stands is not None
    assert orjson.loads(stands)["outcomes"] == 1
