"""One platform writes into a server; another is refused, with words, until the first has ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from observability.clickhouse import lease as leases
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.clickhouse.lease import Lease, platform_id
from observability.errors import ServerTakenError


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedClickhouse]:
    with EmbeddedClickhouse(tmp_path / "server") as store:
        yield store


def test_another_platform_is_refused_until_the_first_has_ended(server: EmbeddedClickhouse) -> None:
    first, second = Lease(server, "one"), Lease(server, "two")
    first.take()
    for attempt in (second.look, second.take, second.renew):
        with pytest.raises(ServerTakenError, match=r"Another platform, .* wait 60 s"):
            attempt()
    first.renew()
    first.end()
    second.take()
    with pytest.raises(ServerTakenError):
        first.renew()


def test_one_that_was_killed_is_waited_for(
    server: EmbeddedClickhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lease(server, "one").take()
    second = Lease(server, "two")
    with pytest.raises(ServerTakenError):
        second.take()
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.0)
    second.take()


def test_of_one_platform_the_later_actor_writes(server: EmbeddedClickhouse) -> None:
    earlier, later = Lease(server, "one"), Lease(server, "one")
    earlier.take()
    later.take()
    with pytest.raises(ServerTakenError, match="A later actor of this platform"):
        earlier.renew()
    earlier.end()  # that is not the later one's end
    with pytest.raises(ServerTakenError):
        Lease(server, "two").take()
    later.renew()


def test_two_that_begin_at_the_same_moment_do_not_both_stay(
    server: EmbeddedClickhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Lease(server, "one"), Lease(server, "two")
    look = first.look

    def meanwhile() -> None:
        look()
        second.take()

    monkeypatch.setattr(first, "look", meanwhile)
    with pytest.raises(ServerTakenError):
        first.take()
    second.renew()


async def test_a_platform_is_who_shares_a_redis(client: Redis) -> None:
    assert await platform_id(client) == await platform_id(client)
