import asyncio

import pytest
from redis.exceptions import OutOfMemoryError

from deployments.forecasting.kept_hours import Ends, KeptHours
from tests.redis_server import running

HOUR = 1_700_000_000 // 3600 * 3600
# More than Redis reads of a connection at once.
ENTITIES = [f"entity-{at:05d}" for at in range(2_000)]


def ends(number: float) -> dict[str, Ends]:
    return dict.fromkeys(ENTITIES, Ends(number, number, number, number, number))


async def test_what_two_replicas_write_at_once_is_not_mixed() -> None:
    with running() as server:
        clients = [server.client() for _ in range(3)]
        first, second, reader = (KeptHours(client, "capacity") for client in clients)
        await first.write(HOUR, ends(0.0))
        for at in range(1, 31):
            *_, during = await asyncio.gather(
                first.write(HOUR, ends(at)), second.write(HOUR, ends(-at)), reader.read()
            )
            for found in (during, await reader.read()):
                (numbers,) = set(found[HOUR].values())
                assert len(set(numbers)) == 1
        for client in clients:
            await client.aclose()


async def test_a_full_redis_is_read_and_makes_room() -> None:
    with running() as server:
        redis = server.client()
        kept = KeptHours(redis, "capacity")
        for at in range(2):
            await kept.write(HOUR + 3600 * at, ends(float(at)))
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("maxmemory", 1)
        with pytest.raises(OutOfMemoryError):
            await kept.write(HOUR, ends(2.0))
        assert (await kept.read()).keys() == {HOUR, HOUR + 3600}
        await kept.remove([HOUR])
        assert (await kept.read()).keys() == {HOUR + 3600}
        await redis.aclose()
