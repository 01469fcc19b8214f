"""What the front sends to a second gateway counts once in the states of keys, and is answered."""

from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest

from access.keys import Role
from deployments.api.front_ids import HEADER
from deployments.gateway.app import build_ingress
from deployments.history.questions import FoundDecisions
from tests.deployments.house import House

REGIME, BANDIT, STUDY = "/models/regime-detection", "/models/bandit", "/models/bayes-opt"
SPACE = {"x": {"type": "float", "low": -5, "high": 10}}
GIVEN = "1772000000000-6f1c2a34-0b1c-4d5e-8f90-a1b2c3d4e5f6"
Body = dict[str, Any]


async def sent(
    house: House, path: str, body: Any, given: str = GIVEN, method: str = "POST"
) -> httpx.Response:
    headers = {HEADER: given}
    async with house.client(Role.ADMIN) as client:
        return await client.request(method, path, json=body, headers=headers)


async def twice(house: House, path: str, body: Any, number: int, method: str = "POST") -> Any:
    """Send a request of this number to one gateway, which dies, and to another one."""
    given = f"{1772000000000 + number}{GIVEN[13:]}"
    await sent(house, path, body, given, method)
    found = await sent(house, path, body, given, method)
    assert found.is_success, found.text
    return found.json() if found.content else None


async def shown(house: House, path: str) -> Body:
    async with house.client() as client:
        found: Body = (await client.get(path)).json()
    return found


async def test_observations_without_a_sequence_count_once(house: House) -> None:
    for number in range(2):
        answer = await twice(house, REGIME, {"stream": "s", "values": [20.0, 21.0, 20.5]}, number)
        assert answer["data"]["taken"] == 3
    assert (await shown(house, "/streams/s"))["regime"]["observations"] == 6


async def test_each_row_is_a_decision_of_its_own(house: House) -> None:
    rows = [{"stream": "s", "values": [20.0 + row]} for row in range(100)]
    answers = await twice(house, REGIME, {"rows": rows}, 0)
    ids = [each["meta"]["decision_id"] for each in answers]
    assert len(set(ids)) == 100
    assert (await shown(house, "/streams/s"))["regime"]["observations"] == 100


async def test_a_decision_its_reward_and_its_arms_count_once(house: House) -> None:
    asked = {"experiment": "e", "arms": ["a", "b", "c"]}
    answer = await twice(house, BANDIT, asked, 0)
    reward = {"decision_id": answer["meta"]["decision_id"], "reward": 0.9}
    told = await twice(house, BANDIT + "/feedback", reward, 1)
    assert told["data"]["posterior"]["weight"] == 1
    await twice(house, "/experiments/e/arms/b", None, 2, "DELETE")
    found = await shown(house, "/experiments/e")
    assert (found["decisions"], found["rewards"]) == (1, 1)
    await twice(house, "/experiments/e", None, 3, "DELETE")
    code = (await sent(house, "/experiments/e", None, GIVEN, "DELETE")).status_code
    assert code == 404  # by another request


async def test_a_trial_is_asked_and_told_once(house: House) -> None:
    first = await twice(house, STUDY, {"study": "s", "space": SPACE}, 0)
    trial = first["data"]["trial_id"]
    told = await twice(house, STUDY + "/tell", {"study": "s", "trial_id": trial, "value": 3.5}, 1)
    assert (told["data"]["trials"], told["data"]["pending"]) == (1, 0)
    assert trial == 0


async def test_an_outcome_is_counted_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ledger:
        async def rows(self, ids: list[str]) -> FoundDecisions:
            rows = {row["decision_id"]: orjson.dumps(row) for row in await house.ledger()}
            return FoundDecisions({each: rows[each] for each in ids if each in rows})

    monkeypatch.setattr(house.context.lookups, "_archive", Ledger())
    (answer,) = await house.ask({"entity": "order-gateway", "load": 0.5})
    body = {"decision_id": answer["meta"]["decision_id"]}
    within = answer["interval"]["upper"] * 0.99
    told = await twice(
        house, "/models/tail-slo/outcome", body | {"values": {"latency_ms": within}}, 0
    )
    assert (told["held"], told["outcomes"]) == (True, 1)


async def test_without_a_front_no_client_gives_an_id(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = SimpleNamespace(plain=True)
    with monkeypatch.context() as built:
        built.setattr(house.context, "settings", plain)
        house.ingress = build_ingress(house.context)
    for _ in range(2):
        assert (await sent(house, REGIME, {"stream": "s", "values": [20.0]})).is_success
    assert (await shown(house, "/streams/s"))["regime"]["observations"] == 2
