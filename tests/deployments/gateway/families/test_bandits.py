import asyncio
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from redis.asyncio import Redis

from access.keys import Role
from config_store.document import BanditExperiment, BanditsConfig
from deployments.optimization.experiments.configured import Configured
from tests.deployments.asking import post, refused
from tests.deployments.house import House, with_serving

BANDIT, FEEDBACK, EVALUATE = "/models/bandit", "/models/bandit/feedback", "/models/bandit/evaluate"
NOBODY = "01939d1c-8a4e-7c11-9a52-3b1f0a6c2d7e"
ARMS = ["a", "b", "c"]
Body = dict[str, Any]


async def show(house: House, name: str) -> Body:
    async with house.client() as client:
        found = await client.get(f"/experiments/{name}")
    assert found.status_code == 200, found.text
    answer: Body = found.json()
    return answer


async def configure(house: House, **changes: Any) -> None:
    bandits = BanditsConfig(**changes)
    await house.deploy(house.document.model_copy(update={"bandits": bandits}))


async def test_an_arm_is_chosen_with_a_chance_that_is_said(house: House) -> None:
    answer = await post(house, BANDIT, {"experiment": "e", "context": {"x": 0.4}, "arms": ARMS})
    data, interval = answer["data"], answer["interval"]
    assert answer["meta"]["feedback"] is True
    assert data["config"] in ARMS
    assert 0 < data["propensity"] <= 1
    assert data["canary_percentage"] == pytest.approx(10)
    assert interval["lower"] <= data["expected_reward"] <= interval["upper"]
    assert (interval["level"], interval["method"]) == (0.9, "credible")
    assert answer["safety"]["level"] == "safe"
    assert not answer["meta"]["degraded"]


async def test_the_share_off_the_baseline_is_what_the_configuration_allows(house: House) -> None:
    await configure(house, canary_cap=0.02)
    asks = [{"experiment": "e", "arms": ARMS, "policy": "ucb"}] * 400
    answers = await post(house, BANDIT, {"rows": asks})
    assert [each["data"]["canary_percentage"] for each in answers] == [pytest.approx(2.0)] * 400
    away = sum(each["data"]["config"] != "a" for each in answers)
    assert away < 30
    await configure(house, canary_cap=0.5)  # the safety policy's 10 % still hold
    answer = await post(house, BANDIT, {"experiment": "e"})
    assert answer["data"]["canary_percentage"] == pytest.approx(10)
    assert answer["safety"]["level"] == "safe"


async def test_a_reward_is_learnt_once(house: House) -> None:
    body = {"experiment": "e", "context": {"x": 0.4}, "arms": ARMS}
    answer = await post(house, BANDIT, body)
    given = {"decision_id": answer["meta"]["decision_id"], "reward": 0.9}
    told = await post(house, FEEDBACK, given)
    assert told["data"]["config"] == answer["data"]["config"]
    posterior = told["data"]["posterior"]
    assert posterior["mean"] > answer["data"]["expected_reward"]
    assert posterior["weight"] == 1
    assert told["interval"]["lower"] == posterior["lower"] < posterior["upper"]
    code, error = await refused(house, FEEDBACK, given)
    assert (code, error["code"]) == (409, "conflict")
    assert (await show(house, "e"))["rewards"] == 1


async def test_rewards_that_nobody_waits_for_are_refused(house: House) -> None:
    code, error = await refused(house, FEEDBACK, {"decision_id": NOBODY, "reward": 1.0})
    assert (code, error["code"]) == (404, "not_found")
    answer = await post(house, BANDIT, {"experiment": "e", "arms": ARMS})
    own = answer["meta"]["decision_id"]
    stranger = NOBODY[:-8] + own[-8:]  # the experiment is found, the decision is not
    assert (await refused(house, FEEDBACK, {"decision_id": stranger, "reward": 1.0}))[0] == 404
    code, error = await refused(house, FEEDBACK, {"decision_id": own, "reward": 1.5})
    assert (code, list(error["fields"])) == (409, ["reward"])
    assert (await refused(house, FEEDBACK, {"decision_id": "mine", "reward": 1.0}))[0] == 422
    body = f'{{"decision_id": "{own}", "reward": NaN}}'
    assert (await refused(house, FEEDBACK, body))[0] == 422
    assert (await show(house, "e"))["rewards"] == 0


@pytest.mark.asyncio(loop_scope="class")
class TestNoDecision:
    """What is refused is no decision of the experiment."""

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"policy": "epsilon"}, "policy"),
            ({"context": {}}, "context.x"),
            ({"context": {"x": 0.1, "y": 0.2}}, "context.y"),
            ({"context": {"x": "high"}}, "context.x"),
            ({"arms": []}, "arms"),
            ({"arms": ["a", "a"]}, "body"),
            ({"arms": ["b"]}, "arms"),
            ({"design": {"colour": 1}}, "design.colour"),
            ({"design": {"discount": 0}}, "design.discount"),
            ({"more": 1}, "more"),
        ],
    )
    async def test_what_does_not_fit_the_experiment_is_refused(
        self, shared_house: House, changes: Body, field: str
    ) -> None:
        name = uuid4().hex
        body = {"experiment": name, "context": {"x": 0.4}, "arms": ARMS}
        await post(shared_house, BANDIT, body)
        code, error = await refused(shared_house, BANDIT, body | changes)
        assert (code, list(error["fields"])) == (422, [field])
        assert (await show(shared_house, name))["decisions"] == 1


async def test_numbers_that_are_none_are_refused(house: House) -> None:
    for number in ("NaN", "Infinity", "1e999", "null"):
        body = f'{{"experiment": "e", "arms": ["a"], "context": {{"x": {number}}}}}'
        assert (await refused(house, BANDIT, body))[0] == 422
    async with house.client() as client:
        assert (await client.get("/experiments")).json() == {"experiments": [], "next": None}


async def test_an_experiment_without_arms_does_not_begin(house: House) -> None:
    code, error = await refused(house, BANDIT, {"experiment": "e"})
    assert (code, list(error["fields"])) == (422, ["arms"])
    design = {"family": "gaussian", "features": {"x": {}}}
    body = {"experiment": "e", "arms": ARMS, "context": {"x": 1}, "design": design}
    code, error = await refused(house, BANDIT, body)
    assert (code, list(error["fields"])) == (422, ["design"])
    body = {"experiment": "e", "arms": ARMS, "design": {"baseline": "z"}}
    assert (await refused(house, BANDIT, body))[0] == 422
    assert (await refused(house, EVALUATE, {"experiment": "e", "policy": "ucb"}))[0] == 404


async def test_an_experiment_keeps_its_design(house: House) -> None:
    design = {"family": "bernoulli", "discount": 0.99, "budget": {"share": 0.02}}
    body = {"experiment": "e", "arms": ARMS, "design": design | {"baseline": "b"}}
    await post(house, BANDIT, body)
    await post(house, BANDIT, body)
    found = await show(house, "e")
    assert (found["baseline"], found["design"]["discount"]) == ("b", 0.99)
    assert found["design"]["budget"]["share"] == 0.02
    for change in ({"discount": 0.5}, {"budget": None}, {"family": "gaussian"}):
        code, error = await refused(house, BANDIT, body | {"design": design | change})
        assert (code, list(error["fields"])) == (409, [f"design.{next(iter(change))}"])


async def test_configured_arms_are_taken_and_vetoes_hold(house: House) -> None:
    of_e = BanditExperiment(arms=("a", "b", "c"), baseline="b", vetoed=("c",))
    await configure(house, experiments={"e": of_e})
    answers = await post(house, BANDIT, {"rows": [{"experiment": "e", "policy": "ucb"}] * 200})
    assert {each["data"]["config"] for each in answers} == {"a", "b"}
    found = await show(house, "e")
    assert [each["config"] for each in found["arms"]] == ["a", "b", "c"]
    assert found["baseline"] == "b"
    await configure(house, experiments={"e": BanditExperiment(vetoed=("b",))})
    assert (await refused(house, BANDIT, {"experiment": "e"}))[0] == 409


async def test_arms_join_are_passed_over_retire_and_take_over(house: House) -> None:
    await post(house, BANDIT, {"experiment": "e", "arms": ["a", "b"]})
    await post(house, BANDIT, {"experiment": "e", "arms": ["a", "c"]})
    rows = [{"experiment": "e", "arms": ["a", "c"], "policy": "ucb"}] * 300
    answers = await post(house, BANDIT, {"rows": rows})
    assert {each["data"]["config"] for each in answers} == {"a", "c"}
    async with house.client(Role.OPERATOR) as client:
        assert (await client.delete("/experiments/e/arms/a")).status_code == 409  # the baseline
        assert (await client.delete("/experiments/e/arms/c")).status_code == 200
        assert (await client.delete("/experiments/e/arms/z")).status_code == 409
    answers = await post(house, BANDIT, {"rows": [{"experiment": "e", "policy": "ucb"}] * 300})
    assert {each["data"]["config"] for each in answers} == {"a", "b"}
    async with house.client(Role.OPERATOR) as client:
        assert (await client.put("/experiments/e/arms/c")).status_code == 200
        assert (await client.put("/experiments/e/arms/d")).status_code == 200
        found = (await client.put("/experiments/e/baseline/c")).json()
    assert found["baseline"] == "c"
    assert [each["config"] for each in found["arms"]] == ["a", "b", "c", "d"]
    async with house.client() as client:
        assert (await client.put("/experiments/e/baseline/a")).status_code == 403


async def test_a_replica_that_dies_loses_nothing_and_counts_nothing_twice(house: House) -> None:
    draw = np.random.default_rng(3)
    for step in range(48):
        if step % 12 == 6:
            await house.start("optimization")
            house.directories["optimization"].addresses.pop(0)
            house.kill("optimization", step // 12)
        context = {"x": float(draw.random()), "y": float(draw.random())}
        body = {"experiment": "quaked", "context": context, "arms": ARMS}
        answers = await post(house, BANDIT, {"rows": [body, body | {"policy": "ucb"}]})
        given = [
            {"decision_id": each["meta"]["decision_id"], "reward": float(draw.random())}
            for each in answers
        ]
        await post(house, FEEDBACK, {"rows": given})
        twice = await post(house, FEEDBACK, {"rows": given})
        assert [each["error"]["code"] for each in twice] == ["conflict"] * 2
    found = await show(house, "quaked")
    assert (found["decisions"], found["rewards"], found["pending"]) == (96, 96, 0)
    assert sum(each["weight"] for each in found["arms"]) == 96
    replica = house.replicas["optimization"][-1]
    live = replica._services["bandit"].cache._residents["quaked"].state
    fresh = await house.start("optimization")
    service = fresh._services["bandit"]
    held = (await service.cache.hold(["quaked"])).residents
    assert service.handler.encode(held["quaked"].state) == replica._experiments.encode(live)


async def test_a_kill_among_many_requests_keeps_every_answer(house: House) -> None:
    async def one(number: int) -> str:
        body = {"experiment": f"e{number % 3}", "context": {"x": number / 60}, "arms": ARMS}
        answer = await post(house, BANDIT, body)
        given = {"decision_id": answer["meta"]["decision_id"], "reward": 0.5}
        await post(house, FEEDBACK, given)
        name: str = answer["data"]["config"]
        return name

    asked = [asyncio.create_task(one(number)) for number in range(60)]
    await asyncio.sleep(0.02)
    await house.start("optimization")
    house.directories["optimization"].addresses.pop(0)
    house.kill("optimization")
    await asyncio.gather(*asked)
    counts = [await show(house, f"e{number}") for number in range(3)]
    assert sum(each["decisions"] for each in counts) == 60
    assert sum(each["rewards"] for each in counts) == 60
    assert sum(arm["weight"] for each in counts for arm in each["arms"]) == 60


async def valued(house: House, policy: str) -> dict[str, Any]:
    """Ask as often as a busy machine says "try again": judging is late where it takes 8 s."""
    while True:
        rows = [{"experiment": "e", "policy": each} for each in (policy, "ucb", "thompson")]
        answers = await post(house, EVALUATE, {"rows": rows})
        refused_with = {answer["error"]["code"] for answer in answers if "error" in answer}
        assert refused_with <= {"unavailable"}
        if not refused_with:
            found: dict[str, Any] = answers[0]
            return found


async def test_policies_are_valued_on_the_log_or_refused_in_words(house: House) -> None:
    draw = np.random.default_rng(1)
    body = {"experiment": "e", "arms": ["good", "bad"], "design": {"family": "bernoulli"}}
    thin = await post(house, BANDIT, body)
    await post(house, FEEDBACK, {"decision_id": thin["meta"]["decision_id"], "reward": 1.0})
    answer = await post(house, EVALUATE, {"experiment": "e", "policy": "bad"})
    assert answer["data"]["estimates"]["dr"] is None
    assert "overlap" in answer["data"]["refusal"] or "chance" in answer["data"]["refusal"]
    assert not answer["data"]["promotion"]["promote"]
    assert (answer["interval"]["lower"], answer["interval"]["upper"]) == (0, 1)
    assert answer["safety"]["level"] == "safe"

    # Of these the worse arm gets one in forty, each by chance: fifty are needed to value it.
    for _ in range(10):
        answers = await post(house, BANDIT, {"rows": [body] * 500})
        given = [
            {
                "decision_id": each["meta"]["decision_id"],
                "reward": float(draw.random() < (0.8 if each["data"]["config"] == "good" else 0.3)),
            }
            for each in answers
        ]
        await post(house, FEEDBACK, {"rows": given})
    for policy, value in (("good", 0.8), ("bad", 0.3)):
        answer = await valued(house, policy)
        robust = answer["data"]["estimates"]["dr"]
        # The interval itself misses one in twenty; what it covers is measured where it is made.
        width = robust["upper"] - robust["lower"]
        assert robust["lower"] - width <= value <= robust["upper"] + width
        assert (answer["interval"]["lower"], answer["interval"]["upper"]) == (
            robust["lower"],
            robust["upper"],
        )
        assert answer["data"]["diagnostics"]["effective_sample_size"] > 50
        assert not answer["data"]["promotion"]["promote"]
    code, error = await refused(house, EVALUATE, {"experiment": "e", "policy": "worse"})
    assert (code, list(error["fields"])) == (422, ["policy"])


async def test_experiments_are_listed_shown_and_forgotten(house: House) -> None:
    for name in ("venue/b", "venue/a", "desk"):
        await post(house, BANDIT, {"experiment": name, "arms": ARMS})
    answer = await post(house, BANDIT, {"experiment": "desk"})
    async with house.client() as client:
        listed = (await client.get("/experiments", params={"limit": 2})).json()
        assert listed == {"experiments": ["desk", "venue/a"], "next": "venue/a"}
        rest = (await client.get("/experiments", params={"after": "venue/a"})).json()
        assert rest == {"experiments": ["venue/b"], "next": None}
        assert (await client.get("/experiments/venue/b")).json()["decisions"] == 1
        assert (await client.delete("/experiments/desk")).status_code == 204
        assert (await client.get("/experiments/desk")).status_code == 404
        assert (await client.delete("/experiments/desk")).status_code == 404
    given = {"decision_id": answer["meta"]["decision_id"], "reward": 0.5}
    assert (await refused(house, FEEDBACK, given))[0] == 404
    async with house.client(Role.VIEWER) as client:
        assert (await client.get("/experiments")).status_code == 200
        assert (await client.delete("/experiments/venue/a")).status_code == 403


async def test_without_redis_the_incumbent_answers_and_nothing_is_learnt(
    house: House, redis: Redis
) -> None:
    first = await post(house, BANDIT, {"experiment": "e", "arms": ARMS})
    await redis.config_set("maxmemory", "1")  # Redis refuses every write from here on
    given = {"decision_id": first["meta"]["decision_id"], "reward": 0.5}
    code, error = await refused(house, FEEDBACK, given)
    assert (code, error["code"]) == (503, "unavailable")
    answers = await post(
        house, BANDIT, {"rows": [{"experiment": "e", "arms": ARMS}, {"experiment": "e"}]}
    )
    assert [each["data"]["config"] for each in answers] == ["a", None]
    for each in answers:
        assert (each["data"]["propensity"], each["data"]["canary_percentage"]) == (1, 0)
        assert each["safety"]["fallback"]
        assert each["meta"]["degraded"]
    await redis.config_set("maxmemory", "0")
    await post(house, FEEDBACK, given)
    assert (await show(house, "e"))["decisions"] == 1
    lost = {"decision_id": answers[0]["meta"]["decision_id"], "reward": 0.5}
    assert (await refused(house, FEEDBACK, lost))[0] == 404


async def test_a_fallback_is_no_decision_of_the_experiment(house: House) -> None:
    await post(house, BANDIT, {"experiment": "e", "arms": ARMS})
    policy = house.document.safety.families["bandit"]
    limits = (policy.ranges[0].model_copy(update={"high": 0.0}), *policy.ranges[1:])
    families = house.document.safety.families | {
        "bandit": policy.model_copy(update={"ranges": limits})
    }
    safety = house.document.safety.model_copy(update={"families": families})
    document = house.document.model_copy(update={"safety": safety})
    (replica,) = house.replicas["optimization"]
    # As if what it compiles were wrong: safety is a check of its own.
    replica.versions._compile = lambda version: Configured(version.document.bandits, 0.3)
    await house.deploy(document)
    answer = await post(house, BANDIT, {"experiment": "e", "arms": ARMS})
    assert (answer["data"]["config"], answer["safety"]["fallback"]) == ("a", True)
    assert answer["meta"]["feedback"] is False
    assert answer["interval"] is None
    given = {"decision_id": answer["meta"]["decision_id"], "reward": 0.5}
    assert (await refused(house, FEEDBACK, given))[0] == 404


async def test_without_a_holder_the_incumbent_answers(house: House) -> None:
    await post(house, BANDIT, {"experiment": "e", "arms": ARMS})
    bandit = house.document.serving.of("bandit")
    hasty = bandit.deadlines.model_copy(update={"model_ms": 50.0})
    hurried = bandit.model_copy(update={"deadlines": hasty})
    await house.deploy(with_serving(house.document, bandit=hurried))
    house.directories["optimization"].addresses.clear()
    house.kill("optimization")
    answer = await post(house, BANDIT, {"experiment": "e", "arms": ["b", "a"]})
    assert answer["data"]["config"] == "b"
    assert answer["data"]["propensity"] == 1
    assert answer["safety"]["violations"][0]["rule"] == "model_away"
    assert answer["meta"]["degraded"]
