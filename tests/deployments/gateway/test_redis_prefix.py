"""The whole DAG under a prefix of its own: no part of it forgets the prefix."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from settings.redis_connection import open_redis
from tests.deployments.house import House
from tests.redis_server import RedisServer

BODIES = {
    "/models/tail-slo": {"entity": "order-gateway", "load": 0.5, "slo_ms": 20},
    "/models/regime-detection": {"stream": "auth/p99", "values": [1.0, 2.0]},
    "/models/anomaly": {"stream": "auth", "points": [[1.0, 2.0]]},
    "/models/bandit": {"experiment": "pricing", "arms": ["a", "b"]},
    "/models/bayes-opt": {
        "study": "cache",
        "space": {"size": {"type": "int", "low": 1, "high": 9}},
    },
}


@pytest.fixture
async def redis(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Redis]:
    monkeypatch.setenv("BALLAST_REDIS_PREFIX", "other:")
    client = open_redis(redis_server.url, "other:")
    yield client
    await client.aclose()


async def test_every_name_in_redis_begins_with_the_prefix(house: House, redis: Redis) -> None:
    async with house.client() as client:
        for path, body in BODIES.items():
            found = await client.post(path, json=body)
            assert found.status_code == 200, found.text
    await house.context.replica._publish()  # done once a second otherwise
    names = [name async for name in redis.scan_iter()]
    assert {name.split(b":")[1] for name in names} >= {
        *(b"config", b"keys", b"wire", b"ledger", b"metrics", b"features"),
        *(b"regime", b"anomaly", b"experiment", b"study"),
    }
    assert [name for name in names if not name.startswith(b"other:")] == []
