"""Quotas of a key, through the whole platform: rates, and the states that a key creates."""

from typing import Any

from access.keys import Role
from config_store.quotas import QuotaChange, QuotasConfig
from tests.deployments.house import PATH, House

BODY = {"entity": "order-gateway", "load": 0.5}


async def allow(house: House, **changes: Any) -> None:
    """Set what a client's key may use; the other roles keep the defaults."""
    quotas = QuotasConfig(roles={Role.CLIENT: QuotaChange(**changes)})
    await house.deploy(house.document.model_copy(update={"quotas": quotas}))


async def test_a_key_that_sends_too_many_requests_is_told_when_to_come_again(
    house: House,
) -> None:
    await allow(house, requests_per_second=0.1, burst_seconds=10)
    async with house.client() as client, house.client(Role.ADMIN) as other:
        answers = [await client.post(PATH, json=BODY) for _ in range(2)]
        listed = await client.get("/streams")
        others = [await other.post(PATH, json=BODY) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429]
    error = answers[1].json()["error"]
    assert error["code"] == "quota"
    assert "0.1 requests a second" in error["message"]
    assert 1 <= int(answers[1].headers["retry-after"]) <= 10
    assert listed.status_code == 429  # every endpoint counts, not the inference paths alone
    assert {answer.status_code for answer in others} == {200}
    counted = house.context.replica.metrics.quota_refusals.labels("requests")
    assert counted._value.get() == 2


async def test_rows_are_counted_beside_requests(house: House) -> None:
    await allow(house, rows_per_second=1, burst_seconds=10)
    async with house.client() as client:
        whole = await client.post(PATH, json={"rows": [BODY] * 100})
        refused = await client.post(PATH, json=BODY)
    assert whole.status_code == 200  # one body may overdraw: it is paid for by waiting
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 80


REGIME, ANOMALY = "/models/regime-detection", "/models/anomaly"
SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
CREATED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "streams": [
        (REGIME, {"stream": "s", "values": [1.0]}),
        (ANOMALY, {"stream": "s", "points": [[1.0, 2.0]]}),
    ],
    "experiments": [("/models/bandit", {"experiment": "e", "arms": ["a", "b"], "context": {}})],
    "studies": [("/models/bayes-opt", {"study": "t", "space": SPACE})],
}


async def test_a_key_may_create_so_many_states(house: House) -> None:
    await allow(house, **{quota: len(asks) for quota, asks in CREATED.items()})
    async with house.client() as client, house.client(Role.OPERATOR) as other:
        for quota, asks in CREATED.items():
            for path, body in asks:
                one = body | {next(iter(body)): "another"}
                assert (await client.post(path, json=body)).status_code == 200
                assert (await client.post(path, json=body)).status_code == 200
            refused = await client.post(path, json=one)
            assert refused.status_code == 429, quota
            assert quota in refused.json()["error"]["message"]
            assert int(refused.headers["retry-after"]) > 0
            assert (await other.post(path, json=one)).status_code == 200
        assert (await client.delete("/streams/s")).status_code == 204
        again = [await client.post(path, json=body) for path, body in CREATED["streams"]]
    assert [each.status_code for each in again] == [200, 200]
