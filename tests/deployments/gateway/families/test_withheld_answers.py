"""What a state keeps of answers that nobody was given, and what is said of what it took."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from access.keys import Role
from config_store.document import ConfigDocument
from config_store.steering.commands import Actor, EmergencyOff, EmergencyOn
from config_store.steering.store import SteeringStore
from safety.emergency import EmergencyRules, ErrorRule
from safety.limits import Level, Range
from tests.deployments.asking import BUSY, post, refused
from tests.deployments.gateway.steering.test_emergency import turned
from tests.deployments.house import House
from tests.waiting import until

BANDIT, FEEDBACK = "/models/bandit", "/models/bandit/feedback"
EVALUATE = "/models/bandit/evaluate"
ASK, TELL = "/models/bayes-opt", "/models/bayes-opt/tell"
DESIGN = {"capacity": 100, "missing_reward": 0.0, "deadline_s": 86_400.0}
DECIDE = {"experiment": "e", "arms": ["a", "b"]}
LISTED = {
    "study": "s",
    "space": {"x": {"type": "float", "low": 0, "high": 10}},
    "design": {"candidates": [{"x": 1.0}, {"x": 2.0}, {"x": 3.0}]},
}


async def once(house: House, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Ask once, whatever the answer is."""
    async with house.client() as client:
        found = await client.post(path, json=body)
    return found.status_code, found.json()


async def shown(house: House, path: str) -> dict[str, Any]:
    async with house.client() as client:
        found: dict[str, Any] = (await client.get(path)).json()
    return found


async def decided(house: House, rows: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await post(house, BANDIT, {"rows": [DECIDE] * rows})
    return found


def _with_nothing_drawn(house: House) -> ConfigDocument:
    """Have every decision among several arms break a limit of the policy."""
    never = Range(field="propensity", low=1.0, level=Level.UNSAFE, message="No arm is drawn.")
    bandit = house.document.safety.families["bandit"]
    changed = bandit.model_copy(update={"ranges": (*bandit.ranges, never)})
    families = house.document.safety.families | {"bandit": changed}
    safety = house.document.safety.model_copy(update={"families": families})
    return house.document.model_copy(update={"safety": safety})


@asynccontextmanager
async def known_to_safety_alone(house: House) -> AsyncIterator[None]:
    """Have an emergency of which the gateway hears nothing while it lasts."""
    (safety,) = house.replicas["safety"]
    store, now = SteeringStore(house.redis), house.context.clocks.wall
    await house.context.replica.steering.stop()
    await store.change(EmergencyOn("a drill"), Actor("ada", Role.OPERATOR), now())
    await until(safety.replica.in_emergency)
    assert not house.context.replica.in_emergency()
    yield
    await store.change(EmergencyOff("over"), Actor("eve", Role.ADMIN), now())
    await until(lambda: not safety.replica.in_emergency())


async def test_no_arm_is_drawn_while_none_is_given(house: House) -> None:
    real = await post(house, BANDIT, DECIDE | {"design": DESIGN})
    await turned(house, on=True)
    for _ in range(2):
        withheld = await decided(house, 60)
        assert {each["safety"]["fallback"] for each in withheld} == {True}
        assert {each["meta"]["feedback"] for each in withheld} == {False}
        assert {each["data"]["config"] for each in withheld} == {"a"}
    await turned(house, on=False)
    found = await shown(house, "/experiments/e")
    assert (found["decisions"], found["pending"], found["missing"]) == (1, 1, 0)
    reward = {"decision_id": real["meta"]["decision_id"], "reward": 1.0}
    assert (await post(house, FEEDBACK, reward))["data"]["experiment"] == "e"


async def test_nothing_is_asked_of_a_study_that_could_not_answer(house: House) -> None:
    first = await post(house, ASK, LISTED)
    await turned(house, on=True)
    for path, body in ((ASK, LISTED), (EVALUATE, {"experiment": "e", "policy": "ucb"})):
        status, why = await refused(house, path, body)
        assert status == BUSY
        assert "Emergency mode is on" in why["message"]
    await turned(house, on=False)
    rest = [await post(house, ASK, LISTED) for _ in range(2)]
    assert {each["data"]["parameters"]["x"] for each in (first, *rest)} == {1.0, 2.0, 3.0}
    assert rest[-1]["data"]["candidates_left"] == 0


async def test_what_was_told_in_an_emergency_is_said_to_be_told(house: House) -> None:
    await post(house, ASK, LISTED)
    real = await post(house, BANDIT, DECIDE)
    reward = {"decision_id": real["meta"]["decision_id"], "reward": 1.0}
    outcome = {"study": "s", "trial_id": 0, "value": 4.5}
    await turned(house, on=True)
    status, told = await once(house, TELL, outcome)
    assert (status, told["safety"]["fallback"]) == (200, True)
    assert (told["data"]["trial_id"], told["data"]["state"]) == (0, "told")
    assert told["data"]["best"]["value"] == 4.5
    status, learnt = await once(house, FEEDBACK, reward)
    assert (status, learnt["safety"]["fallback"]) == (200, True)
    config = real["data"]["config"]
    assert learnt["data"] == {"experiment": "e", "config": config, "posterior": None}
    # Both count, and each once.
    assert (await once(house, TELL, outcome))[0] == 409
    assert (await once(house, FEEDBACK, reward))[0] == 409
    assert (await shown(house, "/experiments/e"))["rewards"] == 1


async def test_what_a_stream_took_in_an_emergency_is_said_to_be_taken(house: House) -> None:
    await turned(house, on=True)
    numbers = {"stream": "r", "values": [1.0, 2.0, 3.0]}
    vectors = {"stream": "r", "points": [[1.0, 2.0]], "sequence": 7}
    counts = ("taken", "duplicates", "late")
    regime = await post(house, "/models/regime-detection", numbers)
    assert [regime["data"][each] for each in counts] == [3, 0, 0]
    assert (regime["data"]["segments"], regime["data"]["alarm"]) == ([], False)
    for expected in ([1, 0, 0], [0, 1, 0]):
        anomaly = await post(house, "/models/anomaly", vectors)
        assert [anomaly["data"][each] for each in counts] == expected
        assert anomaly["data"]["points"] == []
    stream = await shown(house, "/streams/r")
    assert (stream["regime"]["observations"], stream["anomaly"]["observations"]) == (3, 1)


async def test_decisions_that_safety_hides_are_taken_back(house: House) -> None:
    kept = await decided(house, 40)
    assert not any(each["safety"]["fallback"] for each in kept)
    await house.deploy(_with_nothing_drawn(house))
    for _ in range(3):
        withheld = await decided(house, 50)
        assert all(each["safety"]["fallback"] for each in withheld)
    found = await shown(house, "/experiments/e")
    assert (found["decisions"], found["pending"], found["kept"]) == (40, 40, 40)


async def test_an_emergency_that_safety_knows_first_costs_no_decision_and_no_trial(
    house: House,
) -> None:
    real = await post(house, BANDIT, DECIDE | {"design": DESIGN})
    assert (await post(house, ASK, LISTED))["data"]["trial_id"] == 0
    async with known_to_safety_alone(house):
        for _ in range(4):
            assert all(each["safety"]["fallback"] for each in await decided(house, 30))
        for _ in range(3):
            status, why = await refused(house, ASK, LISTED)
            assert (status, "Emergency mode is on" in why["message"]) == (BUSY, True)
    found = await shown(house, "/experiments/e")
    assert (found["decisions"], found["pending"], found["missing"]) == (1, 1, 0)
    reward = {"decision_id": real["meta"]["decision_id"], "reward": 1.0}
    assert (await post(house, FEEDBACK, reward))["safety"]["fallback"] is False
    rest = [(await post(house, ASK, LISTED))["data"] for _ in range(2)]
    assert [each["trial_id"] for each in rest] == [1, 2]
    assert [each["candidates_left"] for each in rest] == [1, 0]


async def test_a_model_that_was_not_asked_is_none_that_did_not_answer(house: House) -> None:
    """Else a gateway that hears a moment late of an emergency's end would begin another one."""
    rules = EmergencyRules(errors=ErrorRule(share=0.5, seconds=60, least_rows=5))
    safety_policy = house.document.safety.model_copy(update={"emergency": rules})
    await house.deploy(house.document.model_copy(update={"safety": safety_policy}))
    (safety,) = house.replicas["safety"]
    await turned(house, on=True)
    await house.context.replica.steering.stop()
    await SteeringStore(house.redis).change(
        EmergencyOff("over"), Actor("eve", Role.ADMIN), house.context.clocks.wall()
    )
    await until(lambda: not safety.replica.in_emergency())
    await safety._emergencies.step()
    for each in await decided(house, 30):
        assert "Emergency mode is on" in each["meta"]["fallback_reason"]
    await safety._emergencies.step()
    assert safety._emergencies.now() is None
