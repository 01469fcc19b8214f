import asyncio
import json
import math
import time
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from jsonschema_rs import Draft202012Validator
from redis.asyncio import Redis

from access.keys import Role
from config_store.document import StreamsConfig
from deployments.gateway.app import build_app
from deployments.gateway.event_streams import notices
from deployments.gateway.event_streams.notices import Notices
from deployments.gateway.routes import streams as streams_routes
from models.anomaly.fleet import FleetLayout
from models.anomaly.streams import AnomalyStreams
from tests.deployments.asking import post, refused
from tests.deployments.house import House
from tests.waiting import PATIENCE_SECONDS, until

REGIME, ANOMALY = "/models/regime-detection", "/models/anomaly"
Body = dict[str, Any]


def shifted(n: int = 120, at: int = 80, seed: int = 1) -> list[float]:
    values = np.random.default_rng(seed).normal(20, 1, n)
    values[at:] += 12
    found: list[float] = values.tolist()
    return found


def timeless(answer: Body) -> str:
    """Give what does not depend on when it was asked."""
    data = {name: value for name, value in answer["data"].items() if name != "segments"}
    data["regime"] = {name: data["regime"][name] for name in ("id", "mean", "sd")}
    return json.dumps([data, answer["interval"]])


async def test_a_shift_is_a_change_point(house: House) -> None:
    values = shifted()
    before = await post(house, REGIME, {"stream": "s", "values": values[:80]})
    after = await post(house, REGIME, {"stream": "s", "values": values[80:]})
    assert before["data"]["change_probability"] < 0.3
    assert after["data"]["change_point"]
    assert after["data"]["regime"]["id"] == pytest.approx(80, abs=1)
    assert after["data"]["regime"]["mean"] == pytest.approx(32, abs=1)
    assert after["interval"]["lower"] < 32 < after["interval"]["upper"]
    assert after["data"]["taken"] == 40
    assert not after["meta"]["degraded"]


async def test_of_one_observation_no_interval_is_claimed(house: House) -> None:
    first = await post(house, REGIME, {"stream": "new", "values": [20.0]})
    second = await post(house, REGIME, {"stream": "new", "values": [21.0]})
    assert first["interval"] is None
    assert "one observation" in first["meta"]["interval_reason"]
    assert not first["safety"]["fallback"]
    # Student's with one degree of freedom, of mean 20.5 and sd sqrt(.5)
    reach = 6.313752 * math.sqrt(0.5) * math.sqrt(1.5)
    assert second["interval"]["lower"] == pytest.approx(20.5 - reach)
    assert second["interval"]["upper"] == pytest.approx(20.5 + reach)


async def test_one_by_one_and_all_at_once_end_at_the_same_bits(house: House) -> None:
    values = shifted()
    whole = await post(house, REGIME, {"stream": "whole", "values": values})
    for value in values:
        single = await post(house, REGIME, {"stream": "single", "values": [value]})
    rows = [{"stream": "rows", "values": values[at : at + 10]} for at in range(0, 120, 10)]
    together = await post(house, REGIME, {"rows": rows})
    ends = [timeless(each) for each in (whole, single, together[-1])]
    kept = [json.loads(end)[0]["regime"] for end in ends]
    assert kept[0] == kept[1] == kept[2]


async def test_a_replica_that_dies_is_followed_to_the_same_bits(house: House) -> None:
    values = shifted(60, 30)
    expected = [
        timeless(await post(house, REGIME, {"stream": "quiet", "values": [value]}))
        for value in values
    ]
    found = []
    for at, value in enumerate(values):
        if at % 12 == 6:
            await house.start("anomaly")
            house.directories["anomaly"].addresses.pop(0)
            house.kill("anomaly", at // 12)
        found.append(timeless(await post(house, REGIME, {"stream": "quaked", "values": [value]})))

    # p-values break ties by the stream's own seed, which these streams do not share
    def without_p(answer: str) -> Any:
        data, interval = json.loads(answer)
        return {**data, "p_value": 0, "alarm": 0}, interval

    assert [without_p(each) for each in found] == [without_p(each) for each in expected]


async def test_what_is_sent_again_is_taken_once(house: House) -> None:
    values = shifted(40)
    first = await post(house, REGIME, {"stream": "s", "values": values[:20], "sequence": 0})
    again = await post(house, REGIME, {"stream": "s", "values": values[:20], "sequence": 0})
    assert (again["data"]["taken"], again["data"]["duplicates"]) == (0, 20)
    assert again["data"]["regime"] == first["data"]["regime"]
    lapping = await post(house, REGIME, {"stream": "s", "values": values[10:30], "sequence": 10})
    assert (lapping["data"]["taken"], lapping["data"]["duplicates"]) == (10, 10)
    await post(house, REGIME, {"stream": "s", "values": values[35:], "sequence": 35})
    async with house.client() as client:
        shown = (await client.get("/streams/s")).json()["regime"]
    assert (shown["observations"], shown["duplicates"], shown["missing"]) == (35, 30, 5)


async def test_a_body_that_is_sent_again_for_want_of_its_answer_gets_it(house: House) -> None:
    points = np.random.default_rng(1).normal(size=(90, 2)).tolist()
    await post(house, ANOMALY, {"stream": "s", "points": points[:80], "sequence": 0})
    body = {"stream": "s", "points": points[80:], "sequence": 80}
    first = await post(house, ANOMALY, body)
    again = await post(house, ANOMALY, body)
    assert again["data"]["points"] == first["data"]["points"]
    assert (again["data"]["taken"], again["data"]["duplicates"]) == (0, 10)
    await house.start("anomaly")
    house.directories["anomaly"].addresses.pop(0)
    house.kill("anomaly")
    assert (await post(house, ANOMALY, body))["data"]["points"] == first["data"]["points"]


async def test_late_observations_are_counted_and_not_taken(house: House) -> None:
    body = {"stream": "s", "values": [1.0, 2.0, 3.0], "ts": [100, 200, 300]}
    await post(house, REGIME, body)
    late = await post(house, REGIME, {"stream": "s", "values": [9.0, 4.0], "ts": [250, 400]})
    assert (late["data"]["taken"], late["data"]["late"]) == (1, 1)
    code, error = await refused(house, REGIME, {**body, "ts": [3, 2, 1]})
    assert (code, list(error["fields"])) == (422, ["body"])


@pytest.mark.asyncio(loop_scope="class")
class TestNoNumber:
    """What is no number is refused."""

    @pytest.mark.parametrize(
        "values",
        ["[NaN]", "[Infinity]", "[1e999]", '["a"]', "[]", "[null]", "{}", "[[1]]"],
    )
    async def test_what_is_no_number_is_refused(self, shared_house: House, values: str) -> None:
        code, error = await refused(shared_house, REGIME, f'{{"stream": "s", "values": {values}}}')
        assert code == 422
        assert error["fields"]


async def test_extreme_numbers_and_constants_are_answered(house: House) -> None:
    for stream, values in {"far": [1e308, -1e308, 0.0, 5e-324], "still": [7.0] * 200}.items():
        answer = await post(house, REGIME, {"stream": stream, "values": values})
        assert answer["data"]["taken"] == len(values)
        points = [[value] for value in values]
        await post(house, ANOMALY, {"stream": stream, "points": points})


@pytest.mark.parametrize("detector", ["rrcf", "isolation_forest", "both"])
async def test_an_odd_point_stands_out_and_is_laid_to_its_dimension(
    house: House, detector: str
) -> None:
    draw = np.random.default_rng(5)
    usual = draw.normal(size=(900, 3))
    usual[-1, 1] += 15
    answer = {}
    for at in range(0, 900, 300):
        body = {"stream": detector, "points": usual[at : at + 300].tolist(), "detector": detector}
        answer = await post(house, ANOMALY, body)
    points = answer["data"]["points"]
    assert len(points) == 300
    # A forest has never seen so far out, and isolates it no sooner than what it saw farthest out.
    assert points[-1]["p_value"] < (0.02 if detector == "rrcf" else 0.1)
    attribution = points[-1]["attribution"]
    assert max(attribution) == attribution[1]


async def test_a_stream_keeps_its_dimensions_and_its_detector(house: House) -> None:
    await post(house, ANOMALY, {"stream": "s", "points": [[1.0, 2.0]]})
    code, error = await refused(house, ANOMALY, {"stream": "s", "points": [[1.0]]})
    assert (code, list(error["fields"])) == (422, ["points"])
    body = {"stream": "s", "points": [[1.0, 2.0]], "detector": "both"}
    assert (await refused(house, ANOMALY, body))[0] == 409
    rows = [{"stream": "s", "points": [[1.0]]}, {"stream": "s", "points": [[1.0, 2.0]]}]
    bad, good = await post(house, ANOMALY, {"rows": rows})
    assert bad["error"]["code"] == "invalid"
    assert good["data"]["taken"] == 1


MEMBERS, METRICS = 4, 3


def fleet_body(points: list[list[float]], stream: str = "fleet", **more: Any) -> Body:
    return {"stream": stream, "points": points, "detector": "fleet", "members": MEMBERS, **more}


def faulty_fleet(n: int = 200, member: int = 2) -> list[list[float]]:
    """Give the points of a fleet one of whose members is at fault in the last four."""
    values = np.random.default_rng(6).normal(10, 1, size=(n, MEMBERS, METRICS))
    values[-4:, member, 1:] += 9
    points: list[list[float]] = values.reshape(n, -1).tolist()
    return points


async def test_the_member_of_a_fleet_that_is_at_fault_is_named(house: House) -> None:
    points = faulty_fleet()
    early = await post(house, ANOMALY, fleet_body(points[:1]))
    assert early["data"]["points"][0]["member"] is None
    answer = await post(house, ANOMALY, fleet_body(points[1:]))
    assert answer["data"]["detector"] == "fleet"
    for point in answer["data"]["points"][-3:]:
        assert point["member"] == 2
        assert point["p_value"] < 0.05
        by_member = np.array(point["attribution"]).reshape(MEMBERS, METRICS)
        assert by_member[2].sum() == pytest.approx(point["score"])
        assert by_member.argmax() // METRICS == 2
    plain = await post(house, ANOMALY, {"stream": "plain", "points": [[1.0]]})
    assert "member" not in plain["data"]["points"][0]


async def test_a_fleet_goes_on_to_the_same_bits_when_its_replica_dies(house: House) -> None:
    points, weights = faulty_fleet(), [1.0, 0.5, 0.5]
    streams = AnomalyStreams(12, "fleet", roster=FleetLayout(MEMBERS, tuple(weights)))
    slot = streams.open(crc32(b"quaked"))
    expected = streams.advance(np.full(200, slot), np.array(points), 0.0)
    found: list[Body] = []
    for at, size in enumerate([1, 1, 60, 1, 30, 7, 100]):
        if at in {2, 5}:
            await house.start("anomaly")
            house.directories["anomaly"].addresses.pop(0)
            house.kill("anomaly", 0 if at == 2 else 1)
        part = points[len(found) : len(found) + size]
        body = fleet_body(part, "quaked", weights=weights, sequence=len(found))
        found += (await post(house, ANOMALY, body))["data"]["points"]
    assert len(found) == 200
    for name in ("score", "p_value", "attribution"):
        assert [each[name] for each in found] == getattr(expected, name).tolist(), name


async def test_what_a_fleet_was_begun_with_is_shown_and_kept(house: House) -> None:
    points, weights = faulty_fleet(6), [1.0, 0.5, 0.5]
    await post(house, ANOMALY, fleet_body(points[:1], weights=weights))
    await post(house, ANOMALY, fleet_body(points[1:2]))
    await post(house, ANOMALY, {"stream": "fleet", "points": points[2:3]})
    await post(house, ANOMALY, fleet_body(points[3:4], weights=[1, 0.5, 0.5]))
    others: dict[str, Body] = {
        "members": fleet_body(points[:1]) | {"members": 3},
        "weights": fleet_body(points[:1], weights=[1.0, 1.0, 1.0]),
        "detector": {"stream": "fleet", "points": points[:1], "detector": "rrcf"},
    }
    for name, body in others.items():
        code, error = await refused(house, ANOMALY, body)
        assert (code, error["code"], list(error["fields"])) == (409, "conflict", [name])
    code, error = await refused(house, ANOMALY, fleet_body([[1.0] * 8]))
    assert (code, list(error["fields"])) == (422, ["points"])
    await post(house, ANOMALY, {"stream": "forest", "points": points[:1]})
    assert (await refused(house, ANOMALY, fleet_body(points[:1], "forest")))[0] == 409
    async with house.client() as client:
        shown = (await client.get("/streams/fleet")).json()["anomaly"]
        begun = {name: shown[name] for name in ("detector", "members", "weights", "dimensions")}
        assert begun == {"detector": "fleet", "members": 4, "weights": weights, "dimensions": 12}
        assert shown["observations"] == 4
        assert (await client.delete("/streams/fleet")).status_code == 204
        await post(house, ANOMALY, fleet_body(points[:1]) | {"members": 2})
        shown = (await client.get("/streams/fleet")).json()["anomaly"]
    assert (shown["members"], shown["weights"], shown["observations"]) == (2, [1.0] * 6, 1)


@pytest.mark.asyncio(loop_scope="class")
class TestNoFleet:
    """What is no fleet is refused."""

    @pytest.mark.parametrize(
        "changes",
        [
            {"members": None},
            {"members": 1},
            {"members": 513},
            {"members": 5},
            {"members": 2.5},
            {"detector": "rrcf"},
            {"detector": None},
            {"detector": None, "members": None, "weights": [1.0]},
            {"weights": [1.0, 1.0]},
            {"weights": [1.0, 0.0, 1.0]},
            {"weights": []},
            {"points": [[1.0] * 1028]},
        ],
        ids=str,
    )
    async def test_what_is_no_fleet_is_refused(self, shared_house: House, changes: Body) -> None:
        body = {**fleet_body([[1.0] * 12]), **changes}
        given = {name: value for name, value in body.items() if value is not None}
        code, error = await refused(shared_house, ANOMALY, given)
        assert code == 422
        assert error["fields"]
        assert error["message"]


async def test_only_a_fleet_has_more_than_64_dimensions(house: House) -> None:
    wide = [[1.0] * 80]
    for detector in ({}, {"detector": "both"}):
        code, error = await refused(house, ANOMALY, {"stream": "w", "points": wide, **detector})
        assert (code, list(error["fields"])) == (422, ["points"])
    await post(house, ANOMALY, fleet_body(wide, "w"))
    later = await post(house, ANOMALY, {"stream": "w", "points": wide})
    assert later["data"]["taken"] == 1


async def test_the_examples_are_answered_as_described(house: House) -> None:
    described: Body = build_app(house.context).openapi()
    schema = described["paths"][ANOMALY]["post"]["responses"]["200"]["content"]
    answered = Draft202012Validator(
        schema["application/json"]["schema"] | {"components": described["components"]}
    )
    examples = described["components"]["schemas"]["AnomalyBody"]["examples"]
    assert {example.get("detector") for example in examples} == {None, "both", "fleet"}
    for example in examples:
        if "entity" in example:  # no telemetry is here: see test_entity_streams.py
            continue
        answered.validate(await post(house, ANOMALY, example))
    body = fleet_body(faulty_fleet())
    told = await post(house, ANOMALY, body)
    assert told["data"]["points"][-1]["member"] == 2
    answered.validate(told)


async def test_streams_are_listed_shown_and_forgotten(house: House) -> None:
    for name in ("venue/b", "venue/a", "desk"):
        await post(house, REGIME, {"stream": name, "values": [1.0]})
    await post(house, ANOMALY, {"stream": "desk", "points": [[1.0]]})
    async with house.client() as client:
        listed = (await client.get("/streams", params={"limit": 2})).json()
        assert listed == {"streams": ["desk", "venue/a"], "next": "venue/a"}
        rest = (await client.get("/streams", params={"after": "venue/a"})).json()
        assert rest == {"streams": ["venue/b"], "next": None}
        shown = (await client.get("/streams/desk")).json()
        assert shown["anomaly"]["observations"] == shown["regime"]["observations"] == 1
        assert (await client.delete("/streams/desk")).status_code == 204
        assert (await client.get("/streams/desk")).status_code == 404
        assert (await client.delete("/streams/desk")).status_code == 404
        await post(house, ANOMALY, {"stream": "desk", "points": [[1.0, 2.0]]})
        assert (await client.get("/streams/desk")).json()["anomaly"]["dimensions"] == 2


async def test_a_viewer_may_look_and_not_observe(house: House) -> None:
    async with house.client(Role.VIEWER) as client:
        assert (await client.get("/streams")).status_code == 200
        assert (await client.post(REGIME, json={"stream": "s", "values": [1]})).status_code == 403
        assert (await client.delete("/streams/s")).status_code == 403


async def test_the_gate_closes_after_a_deploy_that_changed_the_regime(house: House) -> None:
    values = shifted(120, 80)
    for name, at in (("struck", 80), ("spared", 20)):
        body = {"stream": name, "values": values, "ts": [60.0 * minute for minute in range(120)]}
        await post(house, REGIME, body)
        ask = {"stream": name, "deployed_at": 60.0 * (at - 2), "window_seconds": 600}
        answer = await post(house, REGIME + "/gate", ask)
        assert answer["open"] is (name == "spared")
    code, _ = await refused(house, REGIME + "/gate", {"stream": "nobody", "deployed_at": 1.0})
    assert code == 404


async def test_alarms_come_as_events_and_can_be_resumed(
    house: House, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, over = 0, False

    def clock() -> float:
        """Tell the time until the connection is due, of which each look at Redis asks."""
        nonlocal looks
        looks += 1
        return math.inf if over else time.monotonic()

    monkeypatch.setattr(notices, "OPEN_SECONDS", 10 * PATIENCE_SECONDS)
    monkeypatch.setattr(streams_routes, "Notices", lambda redis, _: Notices(redis, clock))
    often = StreamsConfig(alarms_per_day=1e6)  # so that an alarm is bound to come
    await house.deploy(house.document.model_copy(update={"streams": often}))
    lines: list[str] = []

    async def listen(**headers: str) -> None:
        async with house.client() as client:
            found = await client.get("/streams/loud/events", headers=headers)
            lines.extend(found.text.splitlines())

    listening = asyncio.create_task(listen())
    await until(lambda: looks > 2)  # it knows where the stream of alarms ends by now
    for seed in range(6):  # the first two teach
        values = shifted(800, 800 if seed < 2 else 700, seed)
        await post(house, REGIME, {"stream": "loud", "values": values})
    before = looks
    await until(lambda: looks > before + 1)  # it has read all of them
    over = True
    await listening
    assert lines[0].startswith("retry: ")
    alarms = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert alarms
    assert {alarm["stream"] for alarm in alarms} == {"loud"}
    ids = [line[4:] for line in lines if line.startswith("id: ")]
    lines.clear()
    over, resumed = False, asyncio.create_task(listen(**{"Last-Event-ID": ids[0]}))
    before = looks
    await until(lambda: looks > before + 3)
    over = True
    await resumed
    assert [line[4:] for line in lines if line.startswith("id: ")] == ids[1:]
    assert await redis.xlen("ballast:notices") >= len(ids)


async def test_without_redis_nothing_is_taken(house: House, redis: Redis) -> None:
    await post(house, REGIME, {"stream": "s", "values": [1.0]})
    await redis.config_set("maxmemory", "1")  # Redis refuses every write from here on
    code, error = await refused(house, REGIME, {"stream": "s", "values": [2.0]})
    assert (code, error["code"]) == (503, "unavailable")
    await redis.config_set("maxmemory", "0")
    await post(house, REGIME, {"stream": "s", "values": [3.0]})
    async with house.client() as client:
        assert (await client.get("/streams/s")).json()["regime"]["observations"] == 2


async def test_a_holder_that_hangs_refuses_its_own_rows_and_what_is_sent_again_counts_once(
    house: House,
) -> None:
    hanging = (await house.start("anomaly"))._services["regime"]
    exchange: Any = house.context.hops.transports["anomaly"]
    await until(lambda: len(exchange.alive()) == 2)
    names = [f"stream-{n}" for n in range(24)]

    def bodies(at: int) -> Body:
        return {"rows": [{"stream": name, "values": [1.0], "sequence": at} for name in names]}

    assert all("data" in row for row in await post(house, REGIME, bodies(0)))
    before = len(await house.ledger())
    await house.within(model_ms=1_000)
    async with hanging._turn:
        answers = await post(house, REGIME, bodies(1))
        lacking = {name for name, row in zip(names, answers, strict=True) if "error" in row}
        assert 0 < len(lacking) < len(names)
        assert {row["error"]["code"] for row in answers if "error" in row} == {"unavailable"}
    # Whoever was answered is in the ledger, and nobody else.
    assert len(await house.ledger()) == before + len(names) - len(lacking)
    await house.within()
    await post(house, REGIME, bodies(1))
    async with house.client() as client:
        for name in names:
            known = (await client.get(f"/streams/{name}")).json()["regime"]
            assert known["observations"] == 2
            # A busy machine may have asked for the second body once more.
            assert known["duplicates"] >= int(name not in lacking)
