import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import ray
import uvicorn
from redis.asyncio import Redis

import deployments.runtime.replica
from tests.deployments.house import House
from tests.redis_server import RedisServer
from tests.waiting import until

# A page that a failed test left open may have asked for what does not come.
ENDS_SECONDS = 10


@pytest.fixture
def host() -> str:
    """Give what BALLAST_HOST says; a test may override it."""
    return "127.0.0.1"


@pytest.fixture
async def house(
    host: str,
    tmp_path: Path,
    redis: Redis,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[House]:
    """Open a gateway without the stages behind it: the documentation needs none of them."""
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    monkeypatch.setenv("BALLAST_HOST", host)
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setattr(deployments.runtime.replica, "write_logs", lambda *_: None)
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "127.0.0.1")
    house = House(redis)
    await house.prepare()
    try:
        await house.open_gateway()
        yield house
    finally:
        await house.close()


@pytest.fixture
async def url(house: House) -> AsyncIterator[str]:
    """Serve the gateway's app on a port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            house.ingress, log_config=None, lifespan="off", timeout_graceful_shutdown=ENDS_SECONDS
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        await until(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving
