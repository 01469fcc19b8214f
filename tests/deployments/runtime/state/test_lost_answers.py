"""Appends whose answer was lost with the connection: what was taken counts, and counts once."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LostError

from deployments.runtime.state import appending
from deployments.runtime.state.entries import Append
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService
from tests.deployments.runtime.state.asking import SMALL, Clock, Service, ask, expected, totals
from tests.deployments.runtime.state.creating import ADA, Replicas
from tests.deployments.runtime.state.tally import TallyHandler
from tests.redis_server import RedisServer

Appending = Callable[[Sequence[Append]], Awaitable[list[bool | None]]]


def losing(log: KeyLog, how: Callable[[Appending, Sequence[Append]], Awaitable[None]]) -> None:
    """Have the next append lose its connection as `how` does it."""
    append = log.append

    async def lost(appends: Sequence[Append]) -> list[bool | None]:
        log.append = append  # type: ignore[method-assign] # for a test
        await how(append, appends)
        raise LostError("Connection closed by server.")

    log.append = lost  # type: ignore[method-assign] # for a test


async def after_the_first(append: Appending, appends: Sequence[Append]) -> None:
    await append(appends[:1])


async def after_all(append: Appending, appends: Sequence[Append]) -> None:
    await append(appends)


async def test_rows_that_were_taken_are_answered_and_the_others_are_taken_now(
    service: Callable[[], Service],
) -> None:
    one = service()
    await ask(one, ("a", 1.0), ("c", 1.0))
    losing(one._log, after_the_first)
    answer = await ask(one, ("a", 2.0), ("b", 5.0), ("a", 3.0), ("c", None))
    assert answer.refusals == {}
    assert answer.details == [None] * 4  # none of them came a second time
    seen = [expected([1.0, 2.0]), 5.0, expected([1.0, 2.0, 3.0]), 1.0]
    assert answer.columns["total"].tolist() == seen
    for replica in (one, service()):
        assert await totals(replica, ("a", None), ("b", None)) == [seen[2], 5.0]


async def test_also_where_redis_comes_back_a_little_later(
    service: Callable[[], Service], server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, tried = service(), []
    await ask(one, ("a", 1.0))
    read = one._log.read

    async def noted_read(keys: Sequence[str]) -> object:
        tried.append(keys)
        if len(tried) == 3:
            server.start()
        return await read(keys)

    async def killed(append: Appending, appends: Sequence[Append]) -> None:
        await append(appends)
        server.kill()
        monkeypatch.setattr(one._log, "read", noted_read)

    monkeypatch.setattr(appending, "PATIENCE_SECONDS", 60.0)
    losing(one._log, killed)
    assert await totals(one, ("a", 2.0)) == [expected([1.0, 2.0])]
    assert len(tried) >= 3


async def test_a_redis_that_stays_away_refuses_them(
    service: Callable[[], Service], server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(_append: Appending, _appends: Sequence[Append]) -> None:
        server.kill()

    one = service()
    await ask(one, ("a", 1.0))
    monkeypatch.setattr(appending, "PATIENCE_SECONDS", 0.1)
    losing(one._log, killed)
    answer = await ask(one, ("a", 2.0))
    assert answer.refusals[0]["code"] == "unavailable"
    server.start()
    assert await totals(one, ("a", None)) == [1.0]


async def test_a_redis_that_hung_over_them_has_taken_them(
    impatient: Redis, server: RedisServer
) -> None:
    async def hung(append: Appending, appends: Sequence[Append]) -> None:
        server.freeze()
        try:
            await append(appends)
        finally:
            server.thaw()

    one = KeyedService(TallyHandler(), KeyLog(impatient, "tally"), Clock(), SMALL)
    await ask(one, ("a", 1.0))
    losing(one._log, hung)
    assert await totals(one, ("a", 2.0)) == [expected([1.0, 2.0])]
    assert await totals(one, ("a", None)) == [expected([1.0, 2.0])]


async def test_a_deletion_that_was_done_is_answered_and_frees_its_place(
    replicas: Replicas,
) -> None:
    service = replicas.another()
    await replicas.ask(service, ("a", 1, ADA), ("b", 1, ADA))
    losing(service._log, after_all)
    assert await replicas.ask(service, ("a", "delete", ADA)) == [""]
    await replicas.expect({"b": "ada"})
    await replicas.redis.hset("ballast:tally:snapshot:x", mapping={"n": "5", "s": b"of another"})
    losing(service._log, after_all)
    assert await replicas.ask(service, ("x", "delete", ADA)) == [""]


async def test_a_key_that_did_not_begin_over_it_begins_now_and_has_its_place(
    replicas: Replicas,
) -> None:
    service = replicas.another()
    losing(service._log, after_the_first)
    assert await replicas.ask(service, ("a", 1, ADA), ("b", 1, ADA)) == ["", ""]
    await replicas.expect({"a": "ada", "b": "ada"})
