from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from deployments.runtime.state.cache import StateCacheLimits
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService
from tests.deployments.runtime.state.asking import SMALL, Clock, Service
from tests.deployments.runtime.state.creating import Replicas
from tests.deployments.runtime.state.tally import TallyHandler
from tests.redis_server import RedisServer, running


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running() as found:
        yield found


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    client = server.client()
    yield client
    await client.aclose()


@pytest.fixture
async def impatient(server: RedisServer) -> AsyncIterator[Redis]:
    """Give a client that waits for a frozen Redis only so long, and asks once."""
    client = Redis(
        unix_socket_path=str(server.socket), socket_timeout=1.0, retry=Retry(NoBackoff(), 0)
    )
    yield client
    await client.aclose()


@pytest.fixture
def replicas(redis: Redis) -> Replicas:
    return Replicas(redis)


@pytest.fixture
def service(redis: Redis) -> Callable[..., Service]:
    """Make one more replica over the same Redis."""

    def make(
        limits: StateCacheLimits = SMALL,
        clock: Callable[[], float] | None = None,
        handler: TallyHandler | None = None,
    ) -> Service:
        log = KeyLog(redis, "tally")
        return KeyedService(handler or TallyHandler(), log, clock or Clock(), limits)

    return make
