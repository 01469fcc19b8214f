"""Redis comes back without its latest entries, and holders remember them."""

from collections.abc import Callable, Iterator

import pytest

from tests.deployments.runtime.state.asking import Service, ask, expected, totals
from tests.deployments.runtime.state.forgetting import power_cut, written
from tests.redis_server import RedisServer, running

Make = Callable[..., Service]

KEPT, FORGOTTEN = [1.0, 2.0], [3.0, 4.0]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running() as found:
        found.kill()
        found.start("--appendfsync", "always")
        yield found


async def forgetful(server: RedisServer, service: Make) -> tuple[Service, Service]:
    """Give a holder that knows what Redis forgot, and one that does not."""
    first = service()
    for number in KEPT:
        await ask(first, ("a", number))
    synced = written(server)
    for number in FORGOTTEN:
        await ask(first, ("a", number))
    power_cut(server, synced)
    return first, service()


@pytest.mark.parametrize("saves", [False, True])
@pytest.mark.parametrize("since", [[], [10.0], [10.0, 11.0], [10.0, 11.0, 12.0]])
async def test_a_holder_that_remembers_what_redis_forgot_reads_the_log_anew(
    server: RedisServer, service: Make, since: list[float], *, saves: bool
) -> None:
    first, second = await forgetful(server, service)
    for number in since:
        await ask(second, ("a", number))
    if saves:
        await second.close()
    assert await totals(first, ("a", 20.0)) == [expected([*KEPT, *since, 20.0])]
    await first.close()
    assert await totals(service(), ("a", None)) == [expected([*KEPT, *since, 20.0])]


@pytest.mark.parametrize("since", [[10.0], [10.0, 11.0]])
async def test_what_redis_forgot_is_not_shown(
    server: RedisServer, service: Make, since: list[float]
) -> None:
    first, second = await forgetful(server, service)
    for number in since:
        await ask(second, ("a", number))
    assert await totals(first, ("a", None)) == [expected([*KEPT, *since])]


@pytest.mark.parametrize("since", [[], [10.0], [10.0, 11.0], [10.0, 11.0, 12.0]])
async def test_a_snapshot_of_what_redis_forgot_replaces_nothing(
    server: RedisServer, service: Make, since: list[float]
) -> None:
    first, second = await forgetful(server, service)
    for number in since:
        await ask(second, ("a", number))
    await first.close()
    assert await totals(service(), ("a", None)) == [expected([*KEPT, *since])]


async def test_what_began_after_redis_forgot_it_has_one_beginning(
    server: RedisServer, service: Make
) -> None:
    first, second = service(), service()
    synced = written(server)
    await ask(first, ("a", 1.0), ("b", 2.0))
    power_cut(server, synced)
    assert await totals(second, ("a", 10.0)) == [10.0]
    assert await totals(first, ("a", 20.0), ("b", 30.0)) == [expected([10.0, 20.0]), 30.0]


async def test_what_redis_forgot_is_deleted_as_it_is_now(
    server: RedisServer, service: Make
) -> None:
    first, second = await forgetful(server, service)
    await ask(second, ("a", 10.0), ids=["after"])
    await ask(first, ("a", "delete"))
    assert await totals(second, ("a", None)) == [0.0]
    again = await ask(second, ("a", 10.0), ids=["after"])
    assert again.details == [{"data": {"again": "after"}}]  # it is gone, and not to begin anew
