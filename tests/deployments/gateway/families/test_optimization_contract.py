"""What experiments and studies answer is what their description says."""

from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from deployments.api.bandit_evaluation import EVALUATE
from deployments.api.bandit_feedback import FEEDBACK
from deployments.api.bandits import BANDIT
from deployments.api.endpoint import InferenceEndpoint
from deployments.api.studies import STUDY, TELL
from deployments.gateway.app import build_app
from deployments.runtime.storage import Storage
from tests.deployments.asking import post
from tests.deployments.house import House


@pytest.fixture
def described(house: House) -> dict[str, Any]:
    found: dict[str, Any] = build_app(house.context).openapi()
    return found


class Checked:
    """Asks, and holds every answer against the description."""

    def __init__(self, house: House, described: dict[str, Any]) -> None:
        self._house = house
        self._described = described

    async def ask(self, family: InferenceEndpoint, body: dict[str, Any]) -> Any:
        found = await post(self._house, family.path, body)
        operation = self._described["paths"][family.path]["post"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        whole = {**schema, "components": self._described["components"]}
        Draft202012Validator(whole).validate(found)
        return found

    def examples(self, family: InferenceEndpoint) -> list[dict[str, Any]]:
        schemas = self._described["components"]["schemas"]
        found: list[dict[str, Any]] = schemas[family.body.__name__]["examples"]
        return found


@pytest.fixture
def checked(house: House, described: dict[str, Any]) -> Checked:
    return Checked(house, described)


async def test_experiments(checked: Checked) -> None:
    first, second = checked.examples(BANDIT)
    answer = await checked.ask(BANDIT, first)
    await checked.ask(BANDIT, {"rows": [second, first]})
    (feedback,) = checked.examples(FEEDBACK)
    given = feedback | {"decision_id": answer["meta"]["decision_id"]}
    await checked.ask(FEEDBACK, given)
    for example in checked.examples(EVALUATE):
        await checked.ask(EVALUATE, example)
    rows = [first | {"policy": "ucb"}] * 200
    answers = await checked.ask(BANDIT, {"rows": rows})
    rewards = [
        {"decision_id": each["meta"]["decision_id"], "reward": at % 2}
        for at, each in enumerate(answers)
    ]
    await checked.ask(FEEDBACK, {"rows": rewards})
    valued = await checked.ask(EVALUATE, checked.examples(EVALUATE)[1] | {"policy": "64"})
    assert valued["data"]["estimates"]["dr"] is not None


async def test_studies(checked: Checked) -> None:
    for example in checked.examples(STUDY):
        await checked.ask(STUDY, example)
    for example in checked.examples(TELL):
        await checked.ask(TELL, example)
    for _ in range(6):
        answer = await checked.ask(STUDY, checked.examples(STUDY)[1])
        outcome = {"trial_id": answer["data"]["trial_id"], "value": 1.0}
        limits = {"constraints": {"memory_over_limit": -1.0}}
        await checked.ask(TELL, {"study": "matching-engine/tuning"} | outcome | limits)
    space = checked.examples(STUDY)[0]["space"]
    await checked.ask(STUDY, {"study": "two", "space": space, "goal": ["minimise", "maximise"]})
    told = {"study": "two", "trial_id": 0, "value": [1.0, 2.0]}
    await checked.ask(TELL, told)


async def test_fallbacks(house: House, checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    # Once a replica has looked, which it does by itself, nothing new is begun.
    monkeypatch.setattr(Storage, "full", property(lambda _: False))
    await house.redis.config_set("maxmemory", "1")
    for example in checked.examples(BANDIT):
        answer = await checked.ask(BANDIT, example)
        assert answer["data"]["config"] == example["arms"][0]
    await checked.ask(BANDIT, {"experiment": "e"})
    await house.redis.config_set("maxmemory", "0")
