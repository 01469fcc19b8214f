"""Places of new keys while Redis hangs, fails or is full: none stays taken without its key."""

from collections.abc import Iterable, Mapping, Sequence

from redis.asyncio import Redis

from deployments.runtime.batch import Owner, Refusal
from deployments.runtime.state.creation import Creation
from deployments.runtime.state.entries import Append
from tests.deployments.runtime.state.creating import ADA, BOB, Replicas
from tests.redis_server import RedisServer


class HangingCreation:
    """Has Redis hang just as a place is asked for, and go on once nobody waits for it."""

    def __init__(self, creation: Creation, server: RedisServer) -> None:
        self._admit, self._server = creation.admit, server
        self.hangs = False
        creation.admit = self.admit  # type: ignore[method-assign] # for a test

    async def admit(self, beginning: Mapping[str, Owner | None]) -> dict[str, Refusal]:
        if self.hangs:
            self._server.freeze()
        try:
            return await self._admit(beginning)
        finally:
            self._server.thaw()


async def test_places_that_a_hanging_redis_took_after_all_are_given_back(
    impatient: Redis, server: RedisServer
) -> None:
    replicas = Replicas(impatient)
    creation = replicas.creation()
    service, hanging = replicas.another(creation), HangingCreation(creation, server)
    await replicas.ask(service, ("w", 1, ADA))  # Redis knows the scripts
    await replicas.ask(service, ("w", "delete", None))

    for key in "ab":
        hanging.hangs = True
        assert await replicas.ask(service, (key, 1, ADA)) == ["unavailable"]
        assert await impatient.hexists(creation._names[0], f"tally:{key}")
    hanging.hangs = False
    asked = await replicas.ask(service, *[(key, 1, ADA) for key in "xyz"])
    assert asked == ["", "", "quota"]
    await replicas.expect({"x": "ada", "y": "ada"})


async def test_also_without_any_key_that_begins_afterwards(
    impatient: Redis, server: RedisServer
) -> None:
    replicas = Replicas(impatient)
    creation = replicas.creation()
    service, hanging = replicas.another(creation), HangingCreation(creation, server)
    await replicas.ask(service, ("w", 1, ADA))
    hanging.hangs = True
    assert await replicas.ask(service, ("a", 1, ADA)) == ["unavailable"]
    await service.tidy()
    await replicas.expect({"w": "ada"})


async def test_what_one_owner_got_is_given_back_where_the_next_ones_admission_fails(
    replicas: Replicas,
) -> None:
    service, owned = replicas.another(), replicas.creation()._names[1]
    await replicas.redis.hset(owned, "bob", "no number")
    asked = await replicas.ask(service, ("a", 1, ADA), ("b", 1, BOB))
    assert asked == ["unavailable", "unavailable"]
    await replicas.redis.hdel(owned, "bob")
    assert await replicas.ask(service, ("c", 1, ADA), ("d", 1, ADA)) == ["", ""]
    await replicas.expect({"c": "ada", "d": "ada"})


async def test_a_place_that_could_not_be_given_back_is_given_back_later(
    replicas: Replicas, server: RedisServer
) -> None:
    creation = replicas.creation()
    service, free = replicas.another(creation), creation.free
    await replicas.ask(service, ("a", 1, ADA))

    async def away(keys: Iterable[str]) -> int:
        server.kill()
        creation.free = free  # type: ignore[method-assign] # for a test
        return await free(keys)

    creation.free = away  # type: ignore[method-assign] # for a test
    assert await replicas.ask(service, ("a", "delete", None)) == [""]
    server.start()
    await service.tidy()
    await replicas.expect({})


async def test_a_full_redis_refuses_what_would_begin_and_nothing_else(replicas: Replicas) -> None:
    service, redis = replicas.another(), replicas.redis
    assert await replicas.ask(service, ("a", 1, ADA)) == [""]
    await redis.hset("ballast:tally:snapshot:x", mapping={"n": "5", "s": b"of another release"})
    await redis.config_set("maxmemory-policy", "noeviction")
    await redis.config_set("maxmemory", 1)
    rows = [("x", "delete", ADA), ("q", 1, ADA), ("q", "delete", ADA), ("a", None, None)]
    assert await replicas.ask(service, *rows) == ["", "unavailable", "", ""]
    await redis.config_set("maxmemory", 0)
    assert await service._log.every_name() == ["a"]
    await replicas.expect({"a": "ada"})


async def test_to_delete_what_there_is_not_takes_no_place(replicas: Replicas) -> None:
    service = replicas.another()
    nobody = ("nobody", 0)
    asked = await replicas.ask(service, ("a", 1, nobody), ("a", "delete", nobody), ("a", 1, ADA))
    assert asked == ["quota", "", ""]
    await replicas.expect({"a": "ada"})


async def test_a_deletion_that_was_done_stands_where_redis_goes_away_over_the_next(
    replicas: Replicas, server: RedisServer
) -> None:
    service, redis = replicas.another(), replicas.redis
    for key in "xy":
        await redis.hset(f"ballast:tally:snapshot:{key}", mapping={"n": "5", "s": b"of another"})
    append = service._log.append

    async def away_afterwards(appends: Sequence[Append]) -> list[bool | None]:
        taken = await append(appends)
        server.kill()
        return taken

    service._log.append = away_afterwards  # type: ignore[method-assign] # for a test
    asked = await replicas.ask(service, ("x", "delete", None), ("y", "delete", None))
    assert asked == ["", "unavailable"]
