"""States that this release cannot read: their rows are refused, and nobody else's."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from deployments.runtime.state.handler import Reply, StateRequest
from tests.deployments.runtime.state.asking import Service, ask, expected, totals
from tests.deployments.runtime.state.tally import Tally, TallyHandler


class Later(TallyHandler):
    """Of a later release: it writes snapshots and events that this one cannot read."""

    def encode(self, state: Tally) -> bytes:
        return b"2" + super().encode(state)

    def decode(self, key: str, saved: bytes) -> Tally:
        return super().decode(key, saved.removeprefix(b"2"))

    def answer(self, rows: Sequence[tuple[Tally, StateRequest]]) -> list[Reply]:
        replies = super().answer(rows)
        for reply in replies:
            if reply.event is not None:
                reply.event = {"add": reply.event}
        return replies

    def replay(self, tails: Sequence[tuple[Tally, list[Any]]]) -> None:
        super().replay([(tally, [event["add"] for event in events]) for tally, events in tails])


class Brittle(TallyHandler):
    """Fails altogether when one of its keys is asked a certain thing, in the middle of a batch."""

    def _answer(self, state: Tally, request: StateRequest) -> Reply:
        if request.ask == 13.0:
            raise ZeroDivisionError("thirteen")
        return super()._answer(state, request)


async def stored(redis: Redis, key: str) -> tuple[Any, Any]:
    log, snapshot = f"ballast:tally:log:{key}", f"ballast:tally:snapshot:{key}"
    return await redis.xrange(log), await redis.hgetall(snapshot)


@pytest.mark.parametrize("saved", [False, True])
async def test_a_key_that_cannot_be_read_refuses_its_own_rows_and_no_others(
    redis: Redis, service: Callable[..., Service], saved: bool, caplog: pytest.LogCaptureFixture
) -> None:
    one, later = service(), service(handler=Later())
    for value in (1.0, 2.0, 3.0):
        await ask(one, ("a", value), ("c", value))
        await ask(later, ("b", value))
    if saved:
        await later.close()
    before = await stored(redis, "b")
    back = service()
    answer = await ask(back, ("a", 4.0), ("b", 4.0), ("c", 4.0), ("b", None))
    assert sorted(answer.refusals) == [1, 3]
    assert answer.refusals[1]["code"] == "unreadable"
    assert "'b' cannot be read by this release" in answer.refusals[1]["message"]
    assert [answer.columns["total"][row] for row in (0, 2)] == [expected([1.0, 2.0, 3.0, 4.0])] * 2
    assert [each.getMessage() for each in caplog.records if "'b'" in each.getMessage()]
    # Nothing of it is trimmed or written over, however its neighbours are saved.
    for _ in range(9):
        await ask(back, ("a", 1.0), ("b", 1.0), ("c", 1.0))
        await back.tidy()
    await back.close()
    assert await stored(redis, "b") == before
    assert await totals(service(handler=Later()), ("b", None)) == [expected([1.0, 2.0, 3.0])]


@pytest.mark.parametrize(
    "entry", [{"events": "[]"}, {"e": "\x00", "i": "[]"}, {"e": "[]", "i": "7"}, None]
)
async def test_neither_does_a_key_whose_log_has_another_form(
    redis: Redis, service: Callable[..., Service], entry: Any
) -> None:
    one = service()
    await ask(one, ("a", 1.0), ("b", 1.0))
    state = TallyHandler().encode(one.cache._residents["b"].state)
    if entry is not None:
        await redis.xadd("ballast:tally:log:b", entry, id="2-0")
    else:
        await redis.hset("ballast:tally:snapshot:b", mapping={"n": 2, "s": state, "i": "7"})
    before = await stored(redis, "b")
    back = service()
    answer = await ask(back, ("a", 2.0), ("b", 2.0), ("c", 2.0))
    assert {row: each["code"] for row, each in answer.refusals.items()} == {1: "unreadable"}
    assert [answer.columns["total"][row] for row in (0, 2)] == [expected([1.0, 2.0]), 2.0]
    assert await stored(redis, "b") == before
    assert (await ask(back, ("b", "delete"), ("b", 5.0))).columns["total"][1] == 5.0
    assert await totals(service(), ("b", None)) == [5.0]


async def test_its_neighbours_keep_their_events_when_they_come_from_their_logs(
    redis: Redis, service: Callable[..., Service]
) -> None:
    one, later = service(), service(handler=Later())
    for value in (1.0, 2.0, 3.0):
        await ask(one, ("a", value))
    await ask(later, ("b", 1.0))
    await later.close()
    back = service()
    for _ in range(5):
        await ask(back, ("b", None), ("a", None))
        await ask(back, ("a", 0.0))
    await back.close()
    assert await totals(service(), ("a", None)) == [expected([1.0, 2.0, 3.0, *[0.0] * 5])]
    other = service()
    await ask(other, ("a", None))
    assert other.cache._residents["a"].state.count == 8
    assert await redis.xlen("ballast:tally:log:a") == 0


async def test_a_key_that_cannot_be_read_can_be_deleted_and_begun_anew(
    service: Callable[..., Service],
) -> None:
    later = service(handler=Later())
    await ask(later, ("b", 1.0))
    await later.close()
    one = service()
    assert (await ask(one, ("b", "delete"))).refusals == {}
    assert await totals(one, ("b", 2.0)) == [2.0]
    found = await ask(service(handler=Later()), ("b", None))
    assert found.refusals[0]["code"] == "unreadable"


async def test_a_row_that_fails_leaves_the_other_keys_rows_answered(
    redis: Redis, service: Callable[..., Service]
) -> None:
    one = service(handler=Brittle())
    answer = await ask(one, ("a", 1.0), ("b", 2.0), ("b", 13.0), ("a", 3.0), ("c", None))
    assert sorted(answer.refusals) == [1, 2]
    assert answer.refusals[2]["code"] == "unavailable"
    assert [answer.columns["total"][row] for row in (0, 3)] == [1.0, 3.5]
    assert await totals(service(), ("a", None), ("b", None)) == [3.5, 0.0]
    assert await totals(one, ("a", None), ("b", 5.0)) == [3.5, 5.0]
    assert await redis.xlen("ballast:tally:log:a") == 1


async def test_a_state_that_makes_no_snapshot_does_not_hold_up_the_others(
    service: Callable[..., Service],
) -> None:
    class Stuck(TallyHandler):
        def encode(self, state: Tally) -> bytes:
            if state.key == "a":
                raise OverflowError("too large")
            return super().encode(state)

    one = service(handler=Stuck())
    for _ in range(5):
        await ask(one, ("a", 1.0), ("b", 1.0))
    await one.tidy()
    other = service()
    await ask(other, ("a", None), ("b", None))
    assert other.handler.replayed == 5  # type: ignore[attr-defined] # the tally's
