from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer, running


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running() as found:
        yield found
