"""Stores in a real Redis, brought to where a test begins."""

from datetime import UTC, datetime

from redis.asyncio import Redis

from config_store.document import ConfigDocument, FeatureConfig
from config_store.shipped import default_document
from config_store.steering.commands import (
    Actor,
    Deploy,
    Validated,
)
from config_store.steering.state import SteeringState, Strategy
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from observability.timeline.event import read_event
from observability.timeline.stream import TimelineStream
from tests.config_store.steering.people import ADA, NOW

AT = datetime.fromtimestamp(NOW - 100, UTC)


def document(refresh_seconds: float) -> ConfigDocument:
    features = FeatureConfig(refresh_seconds=refresh_seconds)
    return default_document().model_copy(update={"features": features})


async def founded(redis: Redis) -> SteeringStore:
    await ConfigStore(redis).bootstrap(document(1), "up", "fresh", AT)
    return SteeringStore(redis)


async def validated(store: SteeringStore, seconds: float, by: Actor = ADA) -> int:
    life = await store.draft(document(seconds), f"every {seconds:g} s", by, NOW)
    await store.change(Validated(life.number, life.content_hash), by, NOW)
    return life.number


async def switch(store: SteeringStore, number: int) -> SteeringState:
    after = (await store.read()).active
    command = Deploy(number, Strategy.BLUE_GREEN, f"to {number}", after, despite_branch=True)
    return (await store.change(command, ADA, NOW)).state


async def kinds(redis: Redis) -> list[str]:
    messages = await TimelineStream(redis).read(1000)
    return [read_event(each.data).kind for each in messages]
