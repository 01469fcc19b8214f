from typing import Any

import numpy as np
import orjson
import pytest

from deployments.gateway.app import build_app
from deployments.gateway.pipeline.envelope import withheld_interval
from deployments.history.questions import FoundDecisions
from deployments.runtime.batch import Prediction
from deployments.runtime.coverage.offsets_table import offsets_key
from tests.deployments.house import House
from tests.waiting import until

BODY = {"entity": "order-gateway", "load": 0.5}
PREDICTED = {"p99_pred": 5.0, "lower": 2.0, "upper": 9.0}


class Ledger:
    """What the history actor answers, read off the real ledger."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def rows(self, ids: list[str]) -> FoundDecisions:
        rows = {row["decision_id"]: orjson.dumps(row) for row in await self._house.ledger()}
        return FoundDecisions({each: rows[each] for each in ids if each in rows})


@pytest.fixture(autouse=True)
def _ledger(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.context.lookups, "_archive", Ledger(house))


async def tell(house: House, decision: str, latency: float) -> tuple[int, dict[str, Any]]:
    async with house.client() as client:
        body = {"decision_id": decision, "values": {"latency_ms": latency}}
        found = await client.post("/models/tail-slo/outcome", json=body)
    answer: dict[str, Any] = found.json()
    return found.status_code, answer


async def test_outcomes_widen_the_intervals_that_follow_and_say_so(house: House) -> None:
    before = (await house.ask(BODY))[0]
    assert "online" not in before["interval"]
    for _ in range(12):
        answer = (await house.ask(BODY))[0]
        # On a slow machine the outcomes before may have widened this interval already.
        truth = max(1.3 * before["interval"]["upper"], 1.05 * answer["interval"]["upper"])
        code, told = await tell(house, answer["meta"]["decision_id"], truth)
        assert (code, told["held"]) == (200, False)
    (tail,) = house.replicas["tail"]
    await until(lambda: bool(tail._online))
    await tail._online.refresh()
    after = (await house.ask(BODY))[0]
    assert after["interval"]["upper"] > 1.2 * before["interval"]["upper"]
    assert after["interval"]["method"] == "cqr+aci"
    assert after["interval"]["online"]["outcomes"] == 12
    assert after["data"]["p99_pred"] == before["data"]["p99_pred"]
    other = (await house.ask({**BODY, "entity": "settlement"}))[0]
    assert "online" not in other["interval"]


async def test_an_interval_from_zero_does_not_count_its_own_offset_as_a_miss(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Edited(Ledger):
        async def rows(self, ids: list[str]) -> FoundDecisions:
            found = (await super().rows(ids)).rows
            rows = {each: orjson.loads(row) for each, row in found.items()}
            for row in rows.values():
                interval = {"lower": 0.0, "upper": 0.0, "online": {"offset": 0.5}}
                row["answer"]["interval"] |= interval
            return FoundDecisions({each: orjson.dumps(row) for each, row in rows.items()})

    monkeypatch.setattr(house.context.lookups, "_archive", Edited(house))
    for counted in range(1, 13):
        decision = (await house.ask(BODY))[0]["meta"]["decision_id"]
        code, told = await tell(house, decision, 0.0)
        assert (code, told["held"], told["outcomes"]) == (200, True, counted)
    assert told["offset"] == 0.0


@pytest.mark.parametrize(
    ("given", "held"),
    [
        (None, True),
        ({"lower": None, "upper": 4.0}, False),
        ({"lower": 4.0, "upper": None}, True),
        ({"lower": 6.0, "upper": None}, False),
    ],
)
async def test_a_fallback_may_leave_ends_open(
    house: House, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any] | None, *, held: bool
) -> None:
    class Edited(Ledger):
        async def rows(self, ids: list[str]) -> FoundDecisions:
            found = (await super().rows(ids)).rows
            rows = {each: orjson.loads(row) for each, row in found.items()}
            for row in rows.values():
                row["withheld_interval"] = row["answer"]["interval"]
                row["answer"]["interval"] = given
                row["answer"]["safety"]["fallback"] = True
            return FoundDecisions({each: orjson.dumps(row) for each, row in rows.items()})

    monkeypatch.setattr(house.context.lookups, "_archive", Edited(house))
    decision = (await house.ask(BODY))[0]["meta"]["decision_id"]
    code, told = await tell(house, decision, 5.0)
    assert (code, told["held"], told["outcomes"]) == (200, held, 0)


@pytest.mark.parametrize("lower", [None, 1.0])
async def test_an_interval_that_claims_nothing_at_an_end_is_not_counted(
    house: House, monkeypatch: pytest.MonkeyPatch, lower: float | None
) -> None:
    class Edited(Ledger):
        async def rows(self, ids: list[str]) -> FoundDecisions:
            found = (await super().rows(ids)).rows
            rows = {each: orjson.loads(row) for each, row in found.items()}
            for row in rows.values():
                ends = {"lower": lower, "upper": None}
                row["answer"]["interval"] = row["answer"]["interval"] | ends if lower else None
            return FoundDecisions({each: orjson.dumps(row) for each, row in rows.items()})

    monkeypatch.setattr(house.context.lookups, "_archive", Edited(house))
    decision = (await house.ask(BODY))[0]["meta"]["decision_id"]
    code, told = await tell(house, decision, 5.0)
    assert (code, told["error"]["code"]) == (409, "conflict")
    assert "open at an end" in told["error"]["message"]
    assert not await house.redis.exists(offsets_key(house.redis))


async def test_an_outcome_is_counted_once(house: House) -> None:
    decision = (await house.ask(BODY))[0]["meta"]["decision_id"]
    assert (await tell(house, decision, 5.0))[0] == 200
    code, answer = await tell(house, decision, 5.0)
    assert (code, answer["error"]["code"]) == (409, "conflict")


async def test_a_body_is_read_as_json_though_curl_calls_it_a_form(house: House) -> None:
    decision = (await house.ask(BODY))[0]["meta"]["decision_id"]
    body = orjson.dumps({"decision_id": decision, "values": {"latency_ms": 5.0}})
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with house.client() as client:
        found = await client.post("/models/tail-slo/outcome", content=body, headers=form)
        assert found.status_code == 200, found.text
        gate = await client.post("/models/regime-detection/gate", content=b"{}", headers=form)
    assert "give the stream" in gate.json()["error"]["fields"]["body"]


async def test_what_nobody_decided_or_nobody_can_tell_is_refused(house: House) -> None:
    code, _ = await tell(house, "019343a1-7b1c-7abc-9def-0123456789ab", 5.0)
    assert code == 404
    decision = (await house.ask(BODY))[0]["meta"]["decision_id"]
    async with house.client() as client:
        body = {"decision_id": decision, "values": {"rate": 5.0}}
        assert (await client.post("/models/nothing/outcome", json=body)).status_code == 404
        other = await client.post("/models/capacity-planning/outcome", json=body)
        assert "belongs to the family tail" in other.json()["error"]["message"]
        assert other.status_code == 404


@pytest.mark.parametrize(
    ("family", "taken", "other"),
    [("tail-slo", "latency_ms", "rate"), ("capacity", "rate", "latency_ms")],
)
async def test_a_wrong_field_is_refused_by_its_name(
    house: House, family: str, taken: str, other: str
) -> None:
    wrong: list[tuple[dict[str, float], set[str]]] = [
        ({other: 5.0}, {taken, other}),
        ({other: 5.0, taken: 5.0}, {other}),
        ({}, {taken}),
    ]
    async with house.client() as client:
        for values, fields in wrong:
            body = {"decision_id": "019343a1-7b1c-7abc-9def-0123456789ab", "values": values}
            found = await client.post(f"/models/{family}/outcome", json=body)
            assert found.status_code == 422
            assert found.json()["error"]["fields"].keys() == {
                f"body.values.{name}" for name in fields
            }


def test_the_description_says_which_field_each_family_takes(house: House) -> None:
    page = build_app(house.context).openapi()
    taken = {}
    for path, methods in page["paths"].items():
        if path.endswith("/outcome"):
            body = methods["post"]["requestBody"]["content"]["application/json"]["schema"]
            values = schema_of(page, schema_of(page, body)["properties"]["values"])
            assert values["additionalProperties"] is False
            taken[path] = (values["required"], list(values["properties"]))
    latency, rate = (["latency_ms"], ["latency_ms"]), (["rate"], ["rate"])
    assert taken == {
        "/models/tail-slo/outcome": latency,
        "/models/tail/outcome": latency,
        "/models/capacity-planning/outcome": rate,
        "/models/capacity/outcome": rate,
    }


def schema_of(page: dict[str, Any], reference: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = page["components"]["schemas"][reference["$ref"].rpartition("/")[2]]
    return found


async def test_the_outcome_of_a_fallback_does_not_move_the_intervals(house: House) -> None:
    await house.within(model_ms=50)
    house.kill("tail")
    decision = (await house.ask(BODY))[0]
    assert decision["safety"]["fallback"]
    truth = 100 * decision["interval"]["upper"]
    code, told = await tell(house, decision["meta"]["decision_id"], truth)
    assert (code, told["error"]["code"]) == (409, "conflict")
    assert "fallback" in told["error"]["message"]
    assert not await house.redis.exists(offsets_key(house.redis))


async def test_an_interval_too_wide_to_act_on_narrows_by_the_outcomes_of_the_fallback(
    house: House,
) -> None:
    """Or one storm of outcomes would leave an entity to the fallback for ever."""
    body = {**BODY, "entity": "settlement"}
    tail = house.replicas["tail"][0]

    async def answer_and_tell(latency: float) -> tuple[dict[str, Any], dict[str, Any]]:
        answer = (await house.ask(body))[0]
        code, told = await tell(house, answer["meta"]["decision_id"], latency)
        assert code == 200, told
        return answer, told

    usual = (await house.ask(body))[0]["data"]["p99_pred"]
    # What is told between may make the later ones too wide already.
    given = [(await answer_and_tell(1e12))[0]["safety"]["fallback"] for _ in range(20)].count(False)
    assert given > 0
    await tail._online.refresh()
    answer, told = await answer_and_tell(usual)
    assert answer["safety"]["fallback"]
    assert "width:p99_pred" in {each["rule"] for each in answer["safety"]["violations"]}
    shown = answer["interval"]  # the client was given another one than the model's
    assert told["held"] == (shown["lower"] <= usual <= shown["upper"])
    assert told["outcomes"] == given  # none is counted that no client was given
    row = (await house.ledger())[-1]
    assert row["withheld_interval"]["upper"] > 100 * usual
    for _ in range(400):
        await tail._online.refresh()
        answer, told = await answer_and_tell(usual)
        if not answer["safety"]["fallback"]:
            break
    assert not answer["safety"]["fallback"]
    assert answer["interval"]["method"] == "cqr+aci"
    assert told["outcomes"] == given + 1


@pytest.mark.parametrize(
    ("field", "level", "kept"),
    [
        ("upper", "unsafe", True),
        ("p99_pred", "critical", True),
        ("load", "warning", True),
        ("load", "unsafe", False),
    ],
)
def test_an_interval_of_what_cannot_be_asked_says_nothing(
    field: str, level: str, kept: bool
) -> None:
    columns = {name: np.array([1.0, value]) for name, value in PREDICTED.items()}
    prediction = Prediction(columns, "tail/xgboost-quantile", "1.0.0")
    found = withheld_interval(prediction, 1, [{"rule": "any", "field": field, "level": level}])
    assert found == ({"lower": 2.0, "upper": 9.0, "online": None} if kept else None)


@pytest.mark.parametrize("upper", [np.nan, np.inf])
def test_an_interval_that_is_none_says_nothing(upper: float) -> None:
    columns = {"lower": np.array([1.0]), "upper": np.array([upper])}
    assert withheld_interval(Prediction(columns, "any", "1"), 0, []) is None
    assert withheld_interval(Prediction({}, "any", "1"), 0, []) is None
