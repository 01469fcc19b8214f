"""A Redis that fills up: told in time, and once it is full nothing breaks."""

from typing import Any

import pytest
from redis.asyncio import Redis

from access.keys import Role
from tests.deployments.house import PATH, House
from tests.waiting import until

BODY = {"entity": "order-gateway", "load": 0.5}
STREAM = {"stream": "s", "values": [1.0, 2.0]}


async def used_share(house: House, redis: Redis, share: float) -> None:
    """Give Redis a limit of which so much is used, and let everybody look."""
    # What is written meanwhile must not move the share: of many megabytes, not of one.
    # In pieces: Redis keeps a buffer as large as the largest one it took, and lets go of it later.
    for piece in range(256):  # of much, the rest is more than clients' buffers take now and then
        await redis.set(f"ballast:test:filling:{piece}", bytes(1024 * 1024))
    used = int((await redis.info("memory"))["used_memory"])
    await redis.config_set("maxmemory", int(used / share))
    for replicas in house.replicas.values():
        for each in replicas:
            await each.replica.storage.look()
    await house.context.replica.storage.look()


async def test_status_and_metrics_tell_what_fills_up(house: House, redis: Redis) -> None:
    async with house.client(Role.VIEWER) as client:
        before = (await client.get("/status")).json()
        await used_share(house, redis, 0.85)
        after = (await client.get("/status")).json()
        house.context.replica.note_storage()
        told = house.context.replica.metrics.redis_memory_limit_bytes._value.get()
    assert (before["degraded"], before["degraded_reasons"]) == (False, [])
    assert after["degraded"]
    assert "Redis uses" in after["degraded_reasons"][0]
    assert after["storage"]["redis_limit_bytes"] == told > 0


async def posted(house: House, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    async with house.client() as client:
        found = await client.post(path, json=body)
    if found.status_code == 503:
        assert int(found.headers["retry-after"]) >= 1
    return found.status_code, found.json()


STUDY = {"study": "t", "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}}}
BANDIT = {"experiment": "e", "arms": ["a", "b"], "context": {}}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/models/regime-detection", STREAM, 503),
        ("/models/bayes-opt", STUDY, 503),
        ("/models/bandit", BANDIT, 200),  # the fallback chooses
    ],
)
async def test_a_full_redis_is_one_that_is_away_and_no_internal_error(
    house: House, redis: Redis, path: str, body: dict[str, Any], expected: int
) -> None:
    assert (await posted(house, path, body))[0] == 200
    await redis.config_set("maxmemory", 1_000_000)
    status, said = await posted(house, path, body)
    assert status == expected, said
    await redis.config_set("maxmemory", 0)
    assert (await posted(house, path, body))[0] == 200


async def test_answers_go_on_with_a_full_redis_and_are_written_down_later(
    house: House, redis: Redis
) -> None:
    await redis.config_set("maxmemory", 1_000_000)
    status, answer = await posted(house, PATH, BODY)
    assert status == 200
    assert house.context.ledger.degraded
    await redis.config_set("maxmemory", 0)
    await until(lambda: not house.context.ledger.degraded)
    written = [row["decision_id"] for row in await house.ledger()]
    assert answer["meta"]["decision_id"] in written


async def test_from_nine_tenths_on_nothing_new_begins_and_what_there_is_goes_on(
    house: House, redis: Redis
) -> None:
    assert (await posted(house, "/models/regime-detection", STREAM))[0] == 200
    await used_share(house, redis, 0.95)
    assert (await posted(house, "/models/regime-detection", STREAM))[0] == 200
    status, said = await posted(house, "/models/regime-detection", STREAM | {"stream": "t"})
    assert status == 503
    assert "no new stream, experiment or study can be created" in said["error"]["message"]
    assert (await posted(house, "/models/bayes-opt", STUDY))[0] == 503
    assert (await posted(house, "/models/bandit", BANDIT))[0] == 503
