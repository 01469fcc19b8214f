import asyncio
import itertools
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from redis.asyncio import Redis

import deployments.tail.deployment
from access.keys import Principal, Role
from config_store.document import Lane
from config_store.versions import Live
from deployments.api.tail import FEATURES, TailBody
from deployments.runtime.transport.frame import Frame
from features.rows import FeatureRow
from features.store import publish
from models.registry import CHAMPION, Registry
from models.tail.xgboost_quantile import TailModel
from tests.deploying import deployed
from tests.deployments.house import PATH, House, document_with
from tests.redis_server import RedisServer
from tests.waiting import until

Body = dict[str, Any]
Answer = Callable[[Frame, Any], Awaitable[Frame]]
BODY: Body = {"entity": "order-gateway", "load": 0.5, "slo_ms": 20}
CLOSED = ("data", "interval", "safety")


def bodies(n: int, seed: int) -> list[Body]:
    """Make requests of every kind: known and unknown entities, all readings or one of them."""
    draw = np.random.default_rng(seed)
    whole = [
        {
            "entity": str(draw.choice(["order-gateway", "settlement", "nobody-knows-me"])),
            "load": float(draw.uniform(0, 1.6)),
            "infra": float(draw.uniform(0, 1)),
            "request_rate": float(draw.uniform(1, 9_000)),
            "error_rate": float(draw.uniform(0, 0.2)),
            "slo_ms": float(draw.uniform(1, 500)),
        }
        for _ in range(n)
    ]
    left_out = ("infra", "request_rate", "error_rate", "slo_ms")
    return [
        {name: value for name, value in body.items() if name not in draw.choice(left_out, 2)}
        for body in whole
    ]


def closed(answer: Body) -> bytes:
    """Give the part of an answer that the same question gets at any time, as its very bytes."""
    return orjson.dumps({part: answer[part] for part in CLOSED})


async def test_many_requests_at_once_each_get_the_answers_of_their_own_rows(house: House) -> None:
    asked = bodies(120, seed=1)
    sizes = [1, 2, 7, 1, 30, 1, 3, 1, 1, 13, 1, 59]
    cuts = np.cumsum([0, *sizes])
    parts = [asked[start:stop] for start, stop in itertools.pairwise(cuts)]
    expected = [closed((await house.ask(body))[0]) for body in asked]
    together = await asyncio.gather(*(house.ask(*part) for part in parts))
    assert [closed(answer) for part in together for answer in part] == expected
    house.context._counts.write()  # done once a second otherwise
    registry = house.context.replica.metrics.registry
    batches = registry.get_sample_value("lane_batch_rows_count", {"family": "tail"})
    assert batches is not None
    assert batches - len(asked) < len(parts)  # so some of them have shared their way


async def test_a_row_has_the_same_bits_alone_and_among_64(house: House) -> None:
    asked = bodies(64, seed=2)
    together = await house.ask(*asked)
    alone = [(await house.ask(body))[0] for body in asked]
    assert len({closed(answer) for answer in alone}) > 50
    assert [closed(answer) for answer in together] == [closed(answer) for answer in alone]


async def test_the_ledger_has_the_answer_that_was_sent(house: House) -> None:
    asked = bodies(9, seed=3)
    answers = await house.ask(*asked)
    rows = await house.ledger()
    assert [row["answer"] for row in rows] == answers
    assert [row["request"] for row in rows] == asked
    assert [row["decision_id"] for row in rows] == [a["meta"]["decision_id"] for a in answers]
    active = house.context.active()
    for row in rows:
        assert (row["config_version"], row["config_hash"]) == (active.number, active.config_hash)
        assert row["model_version"] == "1.0.0"
    # What is recorded is enough to ask the same question again.
    again = await house.ask(
        *(
            {"entity": row["entity"], **{name: row["features"][name] for name in FEATURES[:4]}}
            | {"slo_ms": row["request"].get("slo_ms", 250.0)}
            for row in rows
        )
    )
    assert [answer["data"] for answer in again] == [answer["data"] for answer in answers]


async def test_what_a_request_leaves_out_comes_from_its_entitys_features(
    house: House, known: dict[str, FeatureRow]
) -> None:
    (answer,) = await house.ask(BODY)
    row = (await house.ledger())[0]
    assert row["features"] == known["order-gateway"].values | {"load": 0.5}
    features = answer["meta"]["features"]
    assert (features["stale"], features["assumed"]) == ([], [])
    seen = datetime.fromisoformat(features["event_time"])
    assert seen == datetime.fromtimestamp(known["order-gateway"].event_time, UTC)
    assert answer["meta"]["degraded"] is False


async def test_old_features_are_used_and_named(
    house: House, redis: Redis, known: dict[str, FeatureRow]
) -> None:
    old = replace(known["settlement"], event_time=time.time() - 1_000)
    await publish(redis, [("settlement", old)])
    (answer,) = await house.ask(BODY | {"entity": "settlement"})
    assert set(answer["meta"]["features"]["stale"]) == set(FEATURES) - {"load"}
    assert answer["meta"]["features"]["assumed"] == []


async def test_features_lost_are_assumed_and_the_answer_says_so(house: House) -> None:
    await house.ask(BODY)  # their last answer; it is not asked for again
    await house.within(features_ms=50)
    house.kill("features")
    (answer,) = await house.ask(BODY)
    assert set(answer["meta"]["features"]["assumed"]) == set(FEATURES) - {"load"}
    assert answer["meta"]["features"]["event_time"] is None
    assert answer["meta"]["degraded"] is True
    assert (answer["safety"]["fallback"], answer["interval"]["method"]) == (False, "cqr")
    row = (await house.ledger())[-1]
    defaults = house.context.active().document.features.defaults
    assert row["features"] == defaults | {"load": 0.5}
    assert row["answer"] == answer


async def test_a_request_that_gives_all_it_can_is_degraded_too_without_features(
    house: House,
) -> None:
    await house.within(features_ms=50)
    house.kill("features")
    given = dict.fromkeys(FEATURES[:4], 0.5)
    (answer,) = await house.ask(given)
    assert answer["meta"]["features"]["assumed"] == list(FEATURES[4:])
    assert answer["meta"]["degraded"] is True


async def test_the_model_lost_is_the_fallback_and_never_an_error(house: House) -> None:
    await house.within(model_ms=50)
    house.kill("tail")
    asked = bodies(16, seed=4)
    for answer in await house.ask(*asked):
        assert answer["safety"]["level"] in ("warning", "unsafe", "critical")
        assert answer["safety"]["fallback"] is True
        assert [each["rule"] for each in answer["safety"]["violations"]] == ["model_away"]
        assert answer["interval"]["method"] == "fallback"
        assert (answer["meta"]["model"], answer["meta"]["model_version"]) == (
            "tail/fallback",
            "none",
        )
        assert answer["meta"]["degraded"] is True
        quantiles = [answer["data"][f"p{q}_pred"] for q in ("50", "95", "99", "999")]
        assert quantiles == sorted(quantiles)
    assert len(await house.ledger()) == 16


async def test_features_and_model_lost_is_still_an_answer(house: House) -> None:
    await house.within(model_ms=50, features_ms=50)
    house.kill("features")
    house.kill("tail")
    (answer,) = await house.ask(BODY)
    assert answer["safety"]["fallback"] is True
    assert answer["meta"]["degraded"] is True


async def test_without_safety_nothing_leaves_and_nothing_is_written(house: House) -> None:
    await house.within(request_ms=2_000, model_ms=500, features_ms=500, ledger_ms=500)
    house.kill("safety")
    async with house.client() as client:
        found = await client.post(PATH, json=BODY)
    assert found.status_code == 503
    assert found.headers["retry-after"] == "1"
    assert found.json()["error"]["code"] == "unavailable"
    assert await house.ledger() == []
    await house.start("safety")  # as Serve does
    await house.within()
    (answer,) = await house.ask(BODY)
    assert answer["safety"]["level"] == "safe"


@pytest.mark.parametrize("stage", ["features", "tail"])
async def test_time_that_one_stage_took_is_gone_for_those_after_it(
    house: House, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    (replica,) = house.replicas[stage]
    answer, now, taken = replica.answer, house.context.clocks.monotonic, [0.0]
    monkeypatch.setattr(house.context.clocks, "monotonic", lambda: now() + sum(taken))

    async def take_all_the_time(frame: Frame, compiled: Any) -> Frame:
        taken.append(99.0)
        answered: Frame = await answer(frame, compiled)
        return answered

    monkeypatch.setattr(replica, "answer", take_all_the_time)
    async with house.client() as client:
        found = await client.post(PATH, json=BODY)
    assert (found.status_code, found.headers["retry-after"]) == (503, "1")
    assert "deadline" in found.json()["error"]["message"]
    assert await house.ledger() == []


async def test_a_request_that_waited_in_the_lane_has_that_much_less(house: House) -> None:
    sent: list[Frame] = []
    for stage in ("features", "tail", "safety"):
        (replica,) = house.replicas[stage]
        replica.answer = _noted(replica.answer, sent)
    lanes = house.context.lanes
    (answered,) = await lanes.ask(
        "tail", [TailBody(load=0.5)], Principal("k", Role.CLIENT), lanes.now() - 80.0, "r"
    )
    # 100 s in all, 6 of them the ledger's.
    assert {frame.head["family"] for frame in sent} == {"tail"}
    assert all(0 < frame.head["budget_s"] <= 14.0 for frame in sent)
    assert {frame.head["version"] for frame in sent} == {1}
    assert [frame.head["requests"] for frame in sent] == [["r"]] * 3
    left = orjson.loads(answered.envelope)["meta"]["deadline_left_ms"]
    assert 0 < left <= 20_000.0


def _noted(answer: Answer, frames: list[Frame]) -> Answer:
    async def note(frame: Frame, compiled: Any) -> Frame:
        frames.append(frame)
        return await answer(frame, compiled)

    return note


async def test_a_redis_that_hangs_is_waited_for_as_long_as_the_ledger_may_take(
    house: House, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.ask(BODY)
    await house.within(ledger_ms=90)
    monkeypatch.setattr(house.context.ledger._output._stream, "_timeout_s", 1e6)
    redis_server.freeze()
    try:
        (answer,) = await house.ask(BODY)
        assert house.context.ledger.spooled_entries == 1
    finally:
        redis_server.thaw()
    await until(lambda: house.context.ledger.spooled_entries == 0)
    assert (await house.ledger())[-1]["answer"] == answer


@pytest.mark.parametrize("stage", ["features", "tail", "safety"])
async def test_a_replica_killed_under_load_is_noticed_by_nobody(house: House, stage: str) -> None:
    await house.start(stage)
    exchange: Any = house.context.hops.transports[stage]
    await until(lambda: len(exchange._channels) == 2)
    asked = bodies(60, seed=5)
    expected = [closed((await house.ask(body))[0]) for body in asked]
    before = len(await house.ledger())
    requests = [asyncio.create_task(house.ask(body)) for body in asked]
    await asyncio.sleep(0.01)
    house.kill(stage)
    answers = [answer for (answer,) in await asyncio.gather(*requests)]
    assert [closed(answer) for answer in answers] == expected
    written = [row["answer"]["meta"]["decision_id"] for row in (await house.ledger())[before:]]
    assert sorted(written) == sorted(answer["meta"]["decision_id"] for answer in answers)


async def test_a_redis_killed_under_load_loses_no_decision(
    house: House, redis_server: RedisServer
) -> None:
    answers = await house.ask(*bodies(3, seed=6))
    await house.ask(BODY)
    redis_server.kill()
    without = [(await house.ask(BODY))[0]]  # the one that finds out
    assert house.context.degraded
    for _ in range(5):
        without += await house.ask(BODY)
    assert {answer["meta"]["degraded"] for answer in without[1:]} == {True}
    assert {answer["safety"]["fallback"] for answer in without} == {False}
    redis_server.start()
    await until(lambda: not house.context.degraded)
    (last,) = await house.ask(BODY)
    assert last["meta"]["degraded"] is False
    written = {row["decision_id"]: row["answer"] for row in await house.ledger()}
    for answer in (*answers, *without, last):
        assert written[answer["meta"]["decision_id"]] == answer


async def test_an_answer_that_cannot_be_written_down_does_not_leave(
    house: House, redis_server: RedisServer
) -> None:
    await house.ask(BODY)
    folder = house.context.settings.paths.spool
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("a file where the spool's folder should be")
    redis_server.kill()
    async with house.client() as client:
        found = await client.post(PATH, json=BODY)
    assert (found.status_code, found.headers["retry-after"]) == (503, "1")
    assert "unrecorded" in found.json()["error"]["message"]


async def test_a_new_configuration_counts_from_the_next_batch_on(house: House) -> None:
    body = {name: value for name, value in BODY.items() if name != "slo_ms"}
    (before,) = await house.ask(body)
    number = await house.deploy(document_with(house.document, slo_ms=0.5))
    (after,) = await house.ask(body)
    assert (before["meta"]["config_version"], after["meta"]["config_version"]) == (1, number)
    assert after["data"]["breach_probability"] > before["data"]["breach_probability"]
    assert closed(after) == closed((await house.ask(body | {"slo_ms": 0.5}))[0])


@pytest.fixture
def _watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments.tail.deployment, "LOOK_FOR_CHAMPION_SECONDS", 0.02)


@pytest.mark.usefixtures("_watchful")
@pytest.mark.parametrize("number", ["1.1.0", "1.0.0"])
async def test_a_new_champion_answers_without_a_restart(
    house: House, tail_model: TailModel, tmp_path: Path, number: str
) -> None:
    """One of another number, and one of the same where the registry counts anew."""
    settings, (replica,) = house.context.settings, house.replicas["tail"]
    named = replica.versions.active.compiled
    before = replica._champions.loaded(named).model
    tail_model.save(tmp_path / "saved")
    registry = Registry(settings.tracking_uri, settings.paths.models)
    registry.register(TailModel.name, tmp_path / "saved", metrics={}, version=number)
    registry.set_alias(TailModel.name, CHAMPION, number)
    await until(lambda: replica._champions.loaded(named).model is not before)
    assert (await house.ask(BODY))[0]["meta"]["model_version"] == number


async def test_what_safety_found_is_counted(house: House) -> None:
    # No fleet finishes a request a microsecond after it came: this SLO is outside the policy.
    answers = await house.ask(BODY | {"slo_ms": 1e7}, BODY)
    assert [answer["safety"]["level"] for answer in answers] == ["unsafe", "safe"]
    registry = house.context.replica.metrics.registry
    assert (
        registry.get_sample_value(
            "safety_violations_total", {"model_type": "tail", "severity": "unsafe"}
        )
        == 1.0
    )
    assert registry.get_sample_value("model_fallbacks_total", {"model": "tail"}) == 1.0


async def test_past_the_lanes_bound_a_request_is_told_when_to_come_back(house: House) -> None:
    narrow = Lane(max_batch_rows=1, batches_in_flight=1, max_waiting_rows=4)
    await house.deploy(document_with(house.document, lane=narrow))
    async with house.client(Role.CLIENT) as client:
        found = await asyncio.gather(*(client.post(PATH, json=BODY) for _ in range(12)))
    refused = [each for each in found if each.status_code == 503]
    assert 0 < len(refused) < 12
    assert len(await house.ledger()) == 12 - len(refused)
    for each in refused:
        assert each.headers["retry-after"] == "1"
        assert each.json()["error"]["code"] == "overloaded"
    house.context._counts.write()
    counted = house.context.replica.metrics.registry.get_sample_value(
        "lane_refused_rows_total", {"family": "tail"}
    )
    assert counted == len(refused)


async def test_no_valid_request_however_odd_is_an_error(house: House) -> None:
    odd: list[Body] = [
        {"load": 1e3, "infra": 1e3},
        {"request_rate": 0.0, "load": 0.0},
        {"load": 5e-324, "slo_ms": 1e-3},
        {"load": -0.0, "slo_ms": 1e7},
        {"error_rate": 1.0, "request_rate": 1e9},
    ]
    for answer in await house.ask(*odd):
        assert None not in answer["data"].values()
        assert None not in answer["interval"].values()


@pytest.mark.parametrize("stage", ["features", "tail", "safety"])
async def test_a_stage_that_answers_by_another_version_counts_as_lost(
    house: House, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    (replica,) = house.replicas[stage]
    live = replica.versions.active
    other = Live(live.number + 1, live.config_hash, live.compiled)
    monkeypatch.setattr(replica.versions, "held", lambda *_: other)
    async with house.client() as client:
        found = await client.post(PATH, json=BODY)
    rows = await house.ledger()
    if stage == "safety":
        assert found.status_code == 503
        assert rows == []
        return
    answer, (row,) = found.json(), rows
    assert answer["meta"]["degraded"] is True
    assert row["stages"]["safety"]["version"] == live.number
    lost = "model" if stage == "tail" else "features"
    assert [name for name, used in row["stages"].items() if used is None] == [lost]
    assert answer["safety"]["fallback"] is (stage == "tail")
    assert bool(answer["meta"]["features"]["assumed"]) is (stage == "features")


async def test_a_version_that_no_stage_can_read_is_answered_by_none(
    house: House, redis_server: RedisServer
) -> None:
    """Its notice came to the gateway alone, and then Redis went away."""
    await house.ask(BODY)
    for replicas in house.replicas.values():
        for replica in replicas:
            await replica.replica.config.stop()
    number = await deployed(house.redis, document_with(house.document, slo_ms=7.0))
    await until(lambda: house.context.active().number == number)
    redis_server.kill()
    async with house.client() as client:
        found = await client.post(PATH, json=BODY)
    assert (found.status_code, found.headers["retry-after"]) == (503, "1")
    assert "safety" in found.json()["error"]["message"]
    redis_server.start()
    (answer,) = await house.ask(BODY)
    assert (answer["meta"]["config_version"], answer["safety"]["fallback"]) == (number, False)
    row = (await house.ledger())[-1]
    assert {used["version"] for used in row["stages"].values()} == {number}


async def test_what_waits_in_the_lane_goes_by_the_version_it_came_under(house: House) -> None:
    """A switch while a request waits is for those after it."""
    (replica,) = house.replicas["safety"]
    gate, answer = asyncio.Event(), replica.answer

    async def held_up(frame: Frame, compiled: Any) -> Frame:
        await gate.wait()
        answered: Frame = await answer(frame, compiled)
        return answered

    replica.answer = held_up
    body = {name: value for name, value in BODY.items() if name != "slo_ms"}
    lane = house.context.lanes.by_family["tail"]
    before = [asyncio.create_task(house.ask(body)) for _ in range(4)]
    await until(lambda: lane.waiting_rows == 3)
    number = await house.deploy(document_with(house.document, slo_ms=0.5))
    after = asyncio.create_task(house.ask(body))
    await until(lambda: lane.waiting_rows == 4)
    gate.set()
    answers = [(await task)[0] for task in (*before, after)]
    assert [each["meta"]["config_version"] for each in answers] == [1, 1, 1, 1, number]
    assert [closed(each) == closed(answers[0]) for each in answers] == [True] * 4 + [False]
