"""Emergency mode, overrides and the fallback ladder, through the real gateway."""

from typing import Any

import numpy as np
import pytest

import deployments.tail.deployment
from access.keys import Role
from config_store.steering.commands import Actor, EmergencyOn
from config_store.steering.store import SteeringStore
from deployments.tail.answering import answer_rows
from safety.emergency import CriticalRule, EmergencyRules
from safety.limits import Level, Range
from tests.deployments.gateway.rollouts import Operator
from tests.deployments.house import House
from tests.redis_server import RedisServer
from tests.waiting import until

BODY = {"entity": "order-gateway", "load": 0.6, "infra": 0.4, "slo_ms": 30}
PATH = "/safety/emergency-mode"


async def turned(house: House, *, on: bool) -> None:
    """Turn emergency mode on or off, and wait until everybody knows."""
    async with house.client(Role.ADMIN) as client:
        found = await client.post(PATH, json={"enable": on, "reason": "a drill"})
    assert found.status_code == 200, found.text
    assert found.json()["emergency_mode"] is on
    await known(house, on=on)


async def known(house: House, *, on: bool) -> None:
    everybody = [house.context, *house.replicas["safety"]]
    for who in everybody:
        await until(lambda who=who: who.replica.in_emergency() is on)  # type: ignore[misc] # bound now


def rungs(answers: list[dict[str, Any]]) -> list[str]:
    return [answer["meta"]["rung"] for answer in answers]


async def test_an_operator_turns_it_on_and_only_an_admin_turns_it_off(house: House) -> None:
    (before,) = await house.ask(BODY)
    assert (before["meta"]["rung"], before["safety"]["fallback"]) == ("model", False)
    async with house.client(Role.CLIENT) as client:
        assert (await client.post(PATH, params={"enable": True})).status_code == 403
    async with house.client(Role.OPERATOR) as client:
        on = await client.post(PATH, params={"enable": True, "reason": "answers make no sense"})
        assert on.status_code == 200, on.text
        await known(house, on=True)
        (during,) = await house.ask(BODY)
        off = await client.post(PATH, params={"enable": False})
        assert (off.status_code, "needs the role admin" in off.text) == (403, True)
        shown = (await client.get("/safety/status")).json()
        assert (await client.post(PATH)).status_code == 422
    # The last safe answer is a model's too: it does not leave either.
    assert (during["meta"]["rung"], during["safety"]["fallback"]) == ("baseline", True)
    assert "answers make no sense" in during["meta"]["fallback_reason"]
    assert during["meta"]["degraded"] is True
    assert shown["emergency_mode"] is True
    assert shown["emergency"]["reason"] == "answers make no sense"
    assert (shown["emergency"]["rule"], shown["overrides"]) == (None, 0)
    await turned(house, on=False)
    assert rungs(await house.ask(BODY)) == ["model"]
    assert (await house.ledger())[-2]["decision_reasons"][0] == "emergency_mode"


async def test_while_it_is_on_every_family_answers_its_fallback(house: House) -> None:
    await turned(house, on=True)
    bodies: dict[str, dict[str, Any]] = {
        "/models/tail-slo": {"rows": [BODY, {"entity": "nobody-knows-me", "load": 0.2}]},
        "/models/capacity-planning": {
            "entity": "order-gateway",
            "ingest_rate": 900,
            "cpu": 0.4,
            "p99": 9,
        },
        "/models/extreme-events": {"values": [float(each * each % 997) for each in range(900)]},
        "/models/regime-detection": {"stream": "s", "values": [1.0, 2.0]},
        "/models/anomaly": {"stream": "a", "points": [[1.0, 2.0]]},
        "/models/bandit": {"experiment": "e", "arms": ["a", "b"], "context": {}},
        "/models/forecast": {
            "values": [float(each % 7) for each in range(60)],
            "frequency": "1h",
            "start": "2026-11-20T00:00:00Z",
            "horizon": 4,
        },
    }
    async with house.client() as client:
        for path, body in bodies.items():
            found = await client.post(path, json=body)
            assert found.status_code == 200, f"{path}: {found.text}"
            answers = found.json() if isinstance(found.json(), list) else [found.json()]
            for answer in answers:
                assert answer["meta"]["rung"] in ("baseline", "constant"), path
                assert answer["safety"]["fallback"] is True
                assert answer["safety"]["level"] != "safe"
        gate = await client.post("/models/regime-detection/gate", json={"entity": "order-gateway"})
        assert (gate.status_code, "decide by hand" in gate.text) == (503, True)
        bandit = (await client.post("/models/bandit", json=bodies["/models/bandit"])).json()
    assert (bandit["data"]["config"], bandit["meta"]["feedback"]) == ("a", False)


async def test_a_replica_that_starts_later_knows_before_its_first_answer(house: House) -> None:
    await turned(house, on=True)
    house.kill("safety")
    late = await house.start("safety")
    assert late.replica.in_emergency()
    (answer,) = await house.ask(BODY)
    assert answer["safety"]["fallback"] is True


async def test_it_stays_on_without_redis_and_over_a_redis_that_forgot(
    house: House, redis_server: RedisServer
) -> None:
    await turned(house, on=True)
    redis_server.kill()
    assert rungs(await house.ask(BODY)) == ["baseline"]
    redis_server.start()
    await until(lambda: not house.context.replica.steering.stale)
    assert rungs(await house.ask(BODY)) == ["baseline"]
    async with house.client(Role.ADMIN) as client:
        assert (await client.get("/safety/status")).json()["emergency_mode"] is True


async def test_a_gateway_that_knows_first_is_enough(house: House) -> None:
    """One of both hears of it: that a safety replica is behind changes nothing."""
    (safety,) = house.replicas["safety"]
    await safety.replica.steering.stop()
    await SteeringStore(house.redis).change(
        EmergencyOn("a drill"), Actor("ada", Role.OPERATOR), house.context.clocks.wall()
    )
    await until(house.context.replica.in_emergency)
    assert not safety.replica.in_emergency()
    assert rungs(await house.ask(BODY)) == ["baseline"]


def break_model(patch: pytest.MonkeyPatch) -> None:
    """Have the tail model answer no number for its p99."""
    real = answer_rows

    def broken(*asked: Any) -> Any:
        found = real(*asked)
        return {**found, "p99_pred": np.full_like(found["p99_pred"], np.nan)}

    patch.setattr(deployments.tail.deployment, "answer_rows", broken)


def with_rules(house: House, rules: EmergencyRules) -> Any:
    safety = house.document.safety.model_copy(update={"emergency": rules})
    return house.document.model_copy(update={"safety": safety})


async def test_a_rule_turns_it_on_for_everybody_and_an_admin_ends_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = EmergencyRules(critical=CriticalRule(count=5, seconds=60))
    await house.deploy(with_rules(house, rules))
    break_model(monkeypatch)
    assert rungs(await house.ask(*[BODY] * 5)) != ["model"] * 5
    await known(house, on=True)
    state = house.context.replica.steering.value
    assert state is not None
    found = state.emergency
    assert found is not None
    assert (found.rule, found.by) == ("critical", "the safety rules")
    assert "5 rows broke critical limits within 60 s" in found.reason
    monkeypatch.undo()
    await turned(house, on=False)
    await house.replicas["safety"][0]._emergencies.step()
    assert not house.context.replica.in_emergency()
    assert rungs(await house.ask(BODY)) == ["model"]


async def test_a_rule_that_a_candidate_breaks_ends_its_rollout_and_nobody_is_in_an_emergency(
    house: House,
) -> None:
    rules = EmergencyRules(critical=CriticalRule(count=5, seconds=60))
    active = await house.deploy(with_rules(house, rules))
    too_busy = Range(field="load", high=0.1, level=Level.CRITICAL, message="Every row breaks it.")
    tail = house.document.safety.families["tail"]
    families = house.document.safety.families | {
        "tail": tail.model_copy(update={"ranges": (*tail.ranges, too_busy)})
    }
    safety = house.document.safety.model_copy(update={"families": families, "emergency": rules})
    operator = Operator(house)
    candidate = await operator.draft(house.document.model_copy(update={"safety": safety}))
    await operator.deploy(candidate, "half", shares=(0.5, 1.0))
    bodies = [{"entity": f"service-{each}", "load": 0.5} for each in range(40)]
    await house.ask(*bodies)
    await until(lambda: house.context.choice.rollout is None)
    state = await operator.store.read()
    assert (state.active, state.emergency) == (active, None)
    assert state.last_rollout is not None
    assert "rows broke critical limits within 60 s" in state.last_rollout.note
    answers = await house.ask(*bodies)
    assert rungs(answers) == ["model"] * len(bodies)
    assert {answer["meta"]["config_version"] for answer in answers} == {active}
