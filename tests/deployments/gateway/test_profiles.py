"""One contract, two transports: what must hold in both profiles."""

import asyncio
from typing import Any

import pytest

from deployments.runtime.transport import replica_directory
from tests.deployments.asking import post, refused
from tests.deployments.house import House
from tests.waiting import until

pytestmark = pytest.mark.parametrize("profile", ["fast", "plain"])

REGIME = "/models/regime-detection"
STREAMS = [f"stream-{n}" for n in range(24)]


def bodies(rows: int) -> list[dict[str, Any]]:
    return [{"entity": "order-gateway", "load": 0.5 + row / 100} for row in range(rows)]


def observed(at: int) -> dict[str, Any]:
    return {"rows": [{"stream": each, "values": [1.0], "sequence": at} for each in STREAMS]}


async def known(house: House, stage: str, replicas: int) -> None:
    """Wait until the gateway reaches so many replicas; in plain Serve knows them itself."""
    if house.plain:
        return
    found: Any = house.context.hops.transports[stage]
    await until(lambda: len(found.alive()) == replicas)


async def test_every_row_is_answered_and_written_down(house: House) -> None:
    answers = await house.ask(*bodies(40))
    assert all(answer["interval"]["upper"] > 0 for answer in answers)
    assert not any(answer["safety"]["fallback"] for answer in answers)
    written = {row["decision_id"] for row in await house.ledger()}
    assert written == {answer["meta"]["decision_id"] for answer in answers}


@pytest.mark.parametrize("stage", ["features", "tail", "safety"])
async def test_a_replica_killed_under_load_is_noticed_by_nobody(house: House, stage: str) -> None:
    await house.start(stage)
    await known(house, stage, 2)
    requests = [asyncio.create_task(house.ask(body)) for body in bodies(40)]
    await asyncio.sleep(0)
    house.kill(stage)
    answers = [answer for (answer,) in await asyncio.gather(*requests)]
    assert not any(answer["safety"]["fallback"] for answer in answers)


async def test_a_stream_goes_on_when_its_holder_dies(house: House) -> None:
    await house.start("anomaly")
    await known(house, "anomaly", 2)
    for at in (0, 1):
        assert all("data" in row for row in await post(house, REGIME, observed(at)))
    states = [each._services["regime"].cache.bytes for each in house.replicas["anomaly"]]
    assert all(states)  # both hold some
    house.kill("anomaly")
    assert all("data" in row for row in await post(house, REGIME, observed(2)))
    async with house.client() as client:
        for stream in STREAMS:
            found = (await client.get(f"/streams/{stream}")).json()
            assert found["regime"]["observations"] == 3


async def test_a_late_stage_costs_its_own_batch_and_what_it_wrote_counts_once(
    house: House,
) -> None:
    await post(house, REGIME, observed(0))
    service = house.replicas["anomaly"][0]._services["regime"]
    await house.within(model_ms=500)
    async with service._turn:
        status, error = await refused(house, REGIME, observed(1))
        assert (status, error["code"]) == (503, "unavailable")
    await house.within()
    assert all("data" in row for row in await post(house, REGIME, observed(1)))
    async with house.client() as client:
        found = (await client.get(f"/streams/{STREAMS[0]}")).json()
    assert found["regime"]["observations"] == 2


async def test_only_fast_listens_and_signs(house: House) -> None:
    signed = await house.redis.hlen(replica_directory.key(house.redis))
    listening = [each.listener is not None for all_ in house.open.values() for each in all_]
    assert (signed > 0) is not house.plain
    assert set(listening) == {not house.plain}
