"""Replicas whose new keys take places in their creators' quotas."""

from collections import Counter
from typing import Any

from redis.asyncio import Redis

from deployments.runtime.batch import Batch, Owner, Prediction
from deployments.runtime.state.creation import Creation
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService
from tests.deployments.runtime.state.asking import SMALL, Clock, Service
from tests.deployments.runtime.state.tally import TallyHandler

ADA, BOB = ("ada", 2), ("bob", 2)
Row = tuple[str, Any, Owner | None]


class Replicas:
    """Replicas of one kind, over one Redis."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.no_room: str | None = None
        self.refused = Counter[str]()
        self.asked = 0

    def _count(self, quota: str) -> None:
        self.refused[quota] += 1

    def creation(self) -> Creation:
        log = KeyLog(self.redis, "tally")
        return Creation(self.redis, log, "streams", lambda: self.no_room, self._count)

    def another(self, creation: Creation | None = None) -> Service:
        log = KeyLog(self.redis, "tally")
        return KeyedService(TallyHandler(), log, Clock(), SMALL, creation or self.creation())

    async def expect(self, owner_of: dict[str, str]) -> None:
        """Check for whom each key counts, and that the counts agree."""
        owners, owned = [await self.redis.hgetall(name) for name in self.creation()._names]
        named = {key: owner.encode() for key, owner in owner_of.items()}
        assert owners == {f"tally:{key}".encode(): owner for key, owner in named.items()}
        assert {owner: int(count) for owner, count in owned.items()} == Counter(named.values())

    async def ask(self, service: Service, *rows: Row) -> list[str]:
        """Ask for each (key, number or "delete", owner); give the refusals' codes, "" for none."""
        keys, asks, owners = (list(column) for column in zip(*rows, strict=True))
        ids = [f"id-{self.asked + at}" for at in range(len(rows))]
        self.asked += len(rows)
        batch = Batch("tally", keys, {}, asks, keys, ids, owners=owners)
        found: Prediction = await service.answer(batch, "m", "1")
        return [found.refusals.get(at, {"code": ""})["code"] for at in range(len(rows))]
