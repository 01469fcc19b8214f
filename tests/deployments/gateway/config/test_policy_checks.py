"""POST /safety/policy/check: the prover's process, and what the gateway says of it."""

import asyncio
import subprocess
import sys

import pytest

from access.keys import Role
from benchmarks.safety.faults import planted
from benchmarks.safety.fleet import shipped
from deployments.api.errors import OverloadedError, UnavailableError
from deployments.gateway.config.policy_checks import MOST_WAITING, PolicyChecks
from safety.proofs.findings import Kind
from tests.deployments.house import House

PATH = "/safety/policy/check"
BANDIT = {"families": {"bandit": shipped("bandit")}}


async def test_a_fault_is_found_with_its_example(house: House) -> None:
    fault = next(each for each in planted() if each.kind is Kind.FALLBACK_BREAKS)
    async with house.client(Role.OPERATOR) as client:
        answer = await client.post(PATH, json={"policy": fault.written(), "against": "none"})
    assert answer.status_code == 200
    found = answer.json()
    assert not found["passes"]
    assert found["config_version"] is None
    assert [each["rule"] for each in found["findings"]] == [fault.rule]


async def test_it_is_compared_with_the_active_policy(house: House) -> None:
    looser = shipped("bandit") | {"responses": {"unsafe": "keep"}}
    async with house.client(Role.OPERATOR) as client:
        asked = {"policy": {"families": {"bandit": looser}}}
        found = (await client.post(PATH, json=asked)).json()
    assert found["passes"]
    assert found["config_version"] == 1
    told = [each for each in found["findings"] if each["kind"] == "lets_through"]
    assert "range:canary_percentage" in {each["rule"] for each in told}
    # The other families are in the active policy, and not in this one.
    assert {each["family"] for each in told if each["rule"] == "families"} >= {"tail", "capacity"}


async def test_only_what_changed_is_checked_where_that_is_asked_for(house: House) -> None:
    policy = house.document.safety.model_dump(mode="json")
    policy["families"]["bandit"] |= {"responses": {"unsafe": "keep"}}
    async with house.client(Role.OPERATOR) as client:
        found = (await client.post(PATH, json={"policy": policy, "only_changed": True})).json()
    assert found["families"] == ["bandit"]
    assert {(each["kind"], each["family"]) for each in found["findings"]} == {
        ("lets_through", "bandit")
    }


@pytest.mark.parametrize(
    ("role", "body", "status"),
    [
        (Role.CLIENT, {"policy": BANDIT}, 403),
        (Role.OPERATOR, {"policy": BANDIT, "against": "yesterday"}, 422),
        (Role.OPERATOR, {"police": BANDIT}, 422),
    ],
)
async def test_it_is_refused(
    house: House, role: Role, body: dict[str, object], status: int
) -> None:
    async with house.client(role) as client:
        assert (await client.post(PATH, json=body)).status_code == status


async def test_no_more_wait_than_may() -> None:
    checks = PolicyChecks()
    waiting = [asyncio.create_task(checks.check(BANDIT, None)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError, match="wait for their check"):
        await checks.check(BANDIT, None)
    assert all(report.passes for report in await asyncio.gather(*waiting))


async def test_a_check_that_comes_to_no_end_decides_nothing() -> None:
    with pytest.raises(UnavailableError, match="Nothing is decided"):
        await PolicyChecks(patience_s=0.001).check(BANDIT, None)


def test_what_serves_imports_no_prover() -> None:
    code = "import sys, deployments.app, deployments.gateway.app; assert 'z3' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_a_number_that_no_process_can_be_sent_is_the_clients_mistake(house: House) -> None:
    policy = {"families": {"bandit": {"ranges": [10**30]}}}
    async with house.client(Role.OPERATOR) as client:
        answer = await client.post(PATH, json={"policy": policy, "against": "none"})
    assert answer.status_code == 422, answer.text
    assert "policy" in answer.json()["error"]["fields"]
