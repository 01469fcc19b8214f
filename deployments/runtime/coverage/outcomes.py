"""Takes outcomes, and tells everybody where each entity's intervals stand now.

Of each family so many entities are kept: where there are more, those whose latest outcome is the
longest ago are forgotten, and begin anew with their next one.

Any process may take an outcome: the state is kept by its log in Redis, and two that take outcomes
of one entity at once do not fork it (deployments/runtime/state/log.py).
"""

import secrets
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis

from deployments.api.errors import REFUSALS
from deployments.api.front_ids import id_for
from deployments.runtime.batch import Batch
from deployments.runtime.coverage.handler import CoverageHandler, Online
from deployments.runtime.coverage.offsets_table import OffsetsTable, key_of
from deployments.runtime.coverage.operations import TakeOutcome
from deployments.runtime.state.entries import Append, Entry
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService

# Far more than anybody serves whose intervals are to hold. A million bodies with an entity of its
# own each shall not fill Redis, nor all that read the table.
MOST_ENTITIES = 20_000
# While Redis forgets them nothing else is asked of it by this process.
FORGOTTEN_AT_ONCE = 500
ADOPTED_AT_ONCE = 1_000


class OutcomeRecorder:
    def __init__(
        self, redis: Redis, clock: Callable[[], float], most_entities: int = MOST_ENTITIES
    ) -> None:
        """Keep so many entities of each family."""
        self._redis = redis
        self._log = KeyLog(redis, CoverageHandler.kind)
        self._service: KeyedService[Online] = KeyedService(CoverageHandler(), self._log, clock)
        self._most_entities = most_entities
        # Of the families that this process takes outcomes of.
        self._tables = dict[str, OffsetsTable]()
        self._adopted = set[str]()

    async def take(self, family: str, entity: str, ask: TakeOutcome) -> dict[str, Any]:
        """Count one outcome; answer whether its interval held it, and how things stand."""
        key = key_of(family, entity)
        sent = id_for("outcome", 32) or secrets.token_hex(16)
        batch = Batch("coverage", [entity], {}, [ask], [key], [sent])
        prediction = await self._service.answer(batch, "coverage/adaptive", "1")
        if why := prediction.refusals.get(0):
            if why["code"] == "conflict":  # who counted it may not have come to say so
                await self._publish(family, entity)
            raise REFUSALS[why["code"]](why["message"], why.get("fields"))
        detail = prediction.details[0] or {}
        found: dict[str, Any] = detail.get("data", {})
        await self._publish(family, entity)
        return found

    async def _publish(self, family: str, entity: str) -> None:
        """Say how things stand; this may be later than the outcome that was just taken."""
        key = key_of(family, entity)
        if (looked := await self._service.look(key, Online.summary)) is None:
            return
        if (table := self._tables.get(family)) is None:
            table = self._tables[family] = OffsetsTable(self._redis, family)
        await table.publish(entity, looked.shown, looked.position, self._log.names_of(key))

    async def tidy(self) -> None:
        for family, table in tuple(self._tables.items()):
            if family not in self._adopted:
                await self._adopt(family, table)
                self._adopted.add(family)
            await self._forget_silent(family, table)
        await self._service.tidy()

    async def _adopt(self, family: str, table: OffsetsTable) -> None:
        """Take up what releases without an order wrote, and what could not be published."""
        own, after = key_of(family, ""), ""
        while keys := await self._log.names(after, ADOPTED_AT_ONCE, own):
            await table.adopt([key.removeprefix(own) for key in keys])
            after = keys[-1]

    async def _forget_silent(self, family: str, table: OffsetsTable) -> None:
        silent = await table.silent(self._most_entities, FORGOTTEN_AT_ONCE)
        keys = [key_of(family, each.entity.decode(errors="replace")) for each in silent]
        ends = [
            Append.of(key, at.number + 1, Entry([], []), after=at.mark, ends=True)
            for key, at in zip(keys, await self._log.positions(keys), strict=True)
            if at.number > 0
        ]
        ended = await self._log.append(ends) if ends else []
        # Where it was not taken an outcome has just come, or Redis refuses: it is tried again.
        kept = {each.key for each, taken in zip(ends, ended, strict=True) if not taken}
        gone = [each for each, key in zip(silent, keys, strict=True) if key not in kept]
        await table.remove(gone)

    async def close(self) -> None:
        await self._service.close()
