"""What a real Redis has stored, as the simulation sees it."""

from typing import Any

from redis.asyncio import Redis

from config_store.steering.store import SteeringStore
from config_store.steering.stored import StateCopy
from config_store.store import ConfigStore
from observability.timeline.stream import TimelineStream
from tests.config_store.simulation.simulated_redis import Contents


async def contents_of(client: Redis) -> Contents:
    store, configs = SteeringStore(client), ConfigStore(client)
    steering: Any = await client.hgetall(store.key)
    versions: Any = await client.hgetall(configs.versions_key)
    filed: Any = await client.hgetall(store.filed_key)
    pointer: Any = await client.get(configs.active_key)
    entries: Any = await client.zrange(store.journal_key, 0, -1, withscores=True)
    told = await TimelineStream(client).read(100_000)
    copied: Any = await client.hgetall(StateCopy(client).key)
    return Contents(
        {name.decode(): value for name, value in steering.items()},
        pointer,
        {int(number): record for number, record in versions.items()},
        filed,
        [(score, member) for member, score in entries],
        [each.data for each in told],
        copied={name.decode(): value for name, value in copied.items()},
    )
