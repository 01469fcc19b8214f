"""New keys: as many as their owner may create, wherever they begin and whatever dies meanwhile."""

from collections.abc import Sequence
from typing import Any

import pytest

from deployments.runtime.state.cache import HeldStates
from deployments.runtime.state.handler import StateRequest
from tests.deployments.runtime.state.creating import ADA, BOB, Replicas
from tests.deployments.runtime.state.tally import Tally, TallyHandler
from tests.redis_server import RedisServer


async def test_a_key_beyond_the_quota_is_refused_and_those_there_are_go_on(
    replicas: Replicas,
) -> None:
    service = replicas.another()
    assert await replicas.ask(service, *[(key, 1, ADA) for key in "abc"]) == ["", "", "quota"]
    assert await replicas.ask(service, *[(key, 2, ADA) for key in "abc"]) == ["", "", "quota"]
    assert replicas.refused == {"streams": 2}
    # Another's key is another's quota, and a key that exists is for everybody.
    assert await replicas.ask(service, ("d", 1, BOB), ("a", 1, BOB)) == ["", ""]


async def test_a_key_that_began_elsewhere_is_nobody_elses_to_begin(replicas: Replicas) -> None:
    one, other = replicas.another(), replicas.another()
    assert await replicas.ask(one, ("b", 1, BOB), ("a", None, None)) == ["", ""]
    assert await replicas.ask(other, ("a", 1, ADA)) == [""]
    assert await replicas.ask(one, ("a", 1, BOB)) == [""]
    owners = await replicas.redis.hgetall(replicas.creation()._names[0])
    assert owners == {b"tally:a": b"ada", b"tally:b": b"bob"}


async def test_a_refusal_says_how_many_there_are(replicas: Replicas) -> None:
    refusals = await replicas.creation().admit(dict.fromkeys("abc", ADA))
    assert list(refusals) == ["c"]
    assert "has 2 streams and may create 2" in refusals["c"]["message"]
    assert "quotas.keys.ada.streams" in refusals["c"]["message"]


async def test_two_replicas_count_together(replicas: Replicas) -> None:
    one, other = replicas.another(), replicas.another()
    assert await replicas.ask(one, ("a", 1, ADA)) == [""]
    assert await replicas.ask(other, ("b", 1, ADA)) == [""]
    assert await replicas.ask(one, ("c", 1, ADA)) == ["quota"]


async def test_deleting_frees(replicas: Replicas) -> None:
    service = replicas.another()
    await replicas.ask(service, ("a", 1, ADA), ("b", 1, ADA))
    await replicas.ask(service, ("a", "delete", None))
    assert await replicas.ask(service, ("c", 1, ADA), ("a", 1, ADA)) == ["", "quota"]


async def test_a_key_that_does_not_begin_takes_no_place(replicas: Replicas) -> None:
    service = replicas.another()
    refused = await replicas.ask(service, *[(f"k{at}", -1, ADA) for at in range(2)])
    assert refused == ["invalid", "invalid"]
    assert await replicas.ask(service, ("a", 1, ADA), ("b", 1, ADA)) == ["", ""]


async def test_a_row_whose_neighbour_fails_keeps_its_place(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = replicas.another()
    answer = TallyHandler.answer

    def failing(self: TallyHandler, rows: Any) -> Any:
        if any(asked.key == "bad" for _, asked in rows):
            raise RuntimeError("this key breaks")
        return answer(self, rows)

    monkeypatch.setattr(TallyHandler, "answer", failing)
    assert await replicas.ask(service, ("a", 1, ADA), ("bad", 1, ADA)) == ["", "unavailable"]
    assert await replicas.ask(service, ("b", 1, ADA), ("c", 1, ADA)) == ["", "quota"]


async def test_what_a_dead_replica_took_is_given_back(replicas: Replicas) -> None:
    """It took places, and died before it appended anything."""
    await replicas.creation().admit({"a": ADA, "b": ADA})
    service = replicas.another()
    assert await replicas.ask(service, ("b", 1, ADA)) == [""]
    assert await replicas.ask(service, ("c", 1, ADA)) == ["quota"]
    assert await replicas.creation().heal(wait_seconds=0) == 1
    assert await replicas.ask(service, ("c", 1, ADA)) == [""]


async def test_a_replica_that_was_stopped_before_it_wrote_has_its_place_all_the_same(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took a place and stood still; another one began, and gave back what no key had."""
    service = replicas.another()
    make_room = service.cache.make_room

    async def stopped(held: Any) -> None:
        assert await replicas.creation().heal(wait_seconds=0) == 1
        await make_room(held)

    monkeypatch.setattr(service.cache, "make_room", stopped)
    assert await replicas.ask(service, ("a", 1, ADA)) == [""]
    monkeypatch.undo()
    assert await replicas.creation().heal(wait_seconds=0) == 0
    assert await replicas.ask(service, ("b", 1, ADA), ("c", 1, ADA)) == ["", "quota"]


async def test_a_key_that_began_anew_elsewhere_keeps_its_place(replicas: Replicas) -> None:
    """Who deleted it gives its place back only now."""
    one, other = replicas.another(), replicas.another()
    await replicas.ask(one, ("a", 1, ADA), ("b", 1, ADA))
    await replicas.ask(one, ("a", "delete", None))
    assert await replicas.ask(other, ("a", 1, ADA)) == [""]
    await replicas.creation().free(["a"])
    assert await replicas.ask(one, ("c", 1, ADA)) == ["quota"]


async def test_a_key_counts_for_who_began_it_also_where_another_had_the_place_meanwhile(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its holder took the place and stood still; the next one took it over and came too late."""
    one, other = replicas.another(), replicas.another()
    make_room = one.cache.make_room

    async def stopped(held: Any) -> None:
        assert await replicas.creation().admit({"a": BOB}) == {}
        await make_room(held)

    monkeypatch.setattr(one.cache, "make_room", stopped)
    assert await replicas.ask(one, ("a", 1, ADA)) == [""]
    assert await replicas.ask(other, ("a", 1, BOB)) == [""]
    await replicas.expect({"a": "ada"})
    assert await replicas.ask(other, ("b", 1, BOB), ("c", 1, BOB)) == ["", ""]
    assert await replicas.ask(other, ("d", 1, ADA), ("e", 1, ADA)) == ["", "quota"]


@pytest.mark.parametrize("most", [2, 0])
async def test_a_place_of_a_key_that_began_meanwhile_is_not_taken_over(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """The next holder read that there is no such key, and then the first one began it."""
    one, other = replicas.another(), replicas.another()
    hold = other.cache.hold

    async def slow(keys: Sequence[str]) -> HeldStates[Tally]:
        found = await hold(keys)
        monkeypatch.undo()
        assert await replicas.ask(one, ("a", 1, ADA)) == [""]
        return found

    monkeypatch.setattr(other.cache, "hold", slow)
    assert await replicas.ask(other, ("a", 1, ("bob", most))) == [""]
    await replicas.expect({"a": "ada"})


async def test_a_place_of_a_key_that_never_began_goes_to_who_begins_it(
    replicas: Replicas,
) -> None:
    await replicas.creation().admit({"a": ADA, "b": ADA})
    service = replicas.another()
    assert await replicas.ask(service, ("a", 1, BOB), ("c", 1, ADA)) == ["", ""]


async def test_a_key_counts_for_the_row_that_begins_it(replicas: Replicas) -> None:
    """Not for one before it in its batch that is refused, or only looks."""
    service, nobody = replicas.another(), ("nobody", 0)
    asked = await replicas.ask(
        service,
        *[("a", -1, ADA), ("a", 1, BOB), ("a", 2, ADA)],
        *[("b", None, None), ("b", 1, nobody), ("b", 1, ADA)],
        *[("c", 1, None), ("c", 1, ADA)],
    )
    assert asked == ["invalid", "", "", "", "quota", "", "", ""]
    await replicas.expect({"a": "bob", "b": "ada"})


async def test_a_place_that_was_not_used_is_free_for_the_rows_that_come_after(
    replicas: Replicas,
) -> None:
    one = ("one", 1)
    rows = [("a", -1, one), ("b", None, None), ("b", 1, one)]
    assert await replicas.ask(replicas.another(), *rows) == ["invalid", "", ""]
    await replicas.expect({"b": "one"})


async def test_a_lower_quota_deletes_nothing(replicas: Replicas) -> None:
    service = replicas.another()
    await replicas.ask(service, ("a", 1, ADA), ("b", 1, ADA))
    lower = ("ada", 1)
    assert await replicas.ask(service, ("a", 1, lower), ("c", 1, lower)) == ["", "quota"]


async def test_without_room_nothing_new_begins(replicas: Replicas) -> None:
    service = replicas.another()
    await replicas.ask(service, ("a", 1, ADA))
    replicas.no_room = "Storage is nearly full"
    assert await replicas.ask(service, ("a", 1, ADA), ("b", 1, ADA)) == ["", "unavailable"]
    replicas.no_room = None
    assert await replicas.ask(service, ("b", 1, ADA)) == [""]


async def test_while_redis_is_away_no_place_is_lost(
    replicas: Replicas, server: RedisServer
) -> None:
    service = replicas.another()
    server.kill()
    assert await replicas.ask(service, ("a", 1, ADA), ("b", 1, ADA)) == ["unavailable"] * 2
    server.start()
    assert await replicas.ask(service, ("a", 1, ADA), ("b", 1, ADA)) == ["", ""]


def test_a_row_without_an_owner_counts_for_nobody() -> None:
    assert StateRequest("a", "1", 1).owner is None
