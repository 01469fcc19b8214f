"""By which mapping each source is followed: the configured one, or the last good one.

A changed mapping is compared first (candidate.py). One that is out of bounds is held back, which
Redis remembers, so that a restart neither compares nor notes it again. The mapping in force is
noted in the store by whoever follows the source (remapping.py).
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from config_store.sources import QueriedSource, SourceConfig
from deployments.telemetry.candidate import Candidate
from deployments.telemetry.events import SourceEvents
from deployments.telemetry.remapping import by_noted_mapping, mapping_id, rules_of
from features.candidates.bounds import CandidateBounds
from features.telemetry.mappings import ActiveMapping, mapping_in_force
from features.telemetry.source_states import HeldBack
from observability.background import BackgroundLoop, Loops
from observability.errors import ClickhouseUnavailableError
from settings.frozen import Frozen
from settings.redis_connection import REDIS_AWAY
from settings.redis_names import redis_name

AWAY = (*REDIS_AWAY, ClickhouseUnavailableError)
Named = Mapping[str, SourceConfig]


class Refusal(Frozen):
    """A mapping that was refused, and by which bounds."""

    held_back: HeldBack
    bounds: CandidateBounds


class Candidates:
    """Decides on changed mappings of sources that can be asked."""

    def __init__(
        self,
        redis: Redis,
        store: Any,
        loops: Loops,
        is_new: Callable[[str], bool],
        wall: Callable[[], float],
        decided: asyncio.Event,
    ) -> None:
        """Take who knows which sources are new, and what is set whenever one was decided on."""
        self._redis = redis
        self._key = redis_name(redis, "telemetry", "refused_mappings")
        self._store = store
        self._loops = loops
        self._is_new = is_new
        self._wall = wall
        self._decided = decided
        self._refused: dict[str, Refusal] | None = None
        self._compared: dict[str, tuple[Candidate, BackgroundLoop]] = {}
        self._settled: dict[str, tuple[QueriedSource, CandidateBounds, QueriedSource]] = {}

    def held_back(self, name: str) -> HeldBack | None:
        """Give the mapping that is configured and not followed."""
        if name in self._compared:
            return self._compared[name][0].held_back
        refused = (self._refused or {}).get(name)
        return None if refused is None else refused.held_back

    async def in_force(
        self, named: Named, bounds: CandidateBounds, running: Named
    ) -> dict[str, SourceConfig]:
        """Give each source by the mapping that it is to be followed by.

        While the store does not say which that is, what runs goes on, and nothing else begins.
        """
        await self._load()
        for name in self._names() - named.keys():
            await self._forget(name)
        found = dict[str, SourceConfig]()
        for name, config in named.items():
            if not isinstance(config, QueriedSource):
                await self._forget(name)
                found[name] = config
                continue
            try:
                found[name] = await self._decide(name, config, bounds)
            except ClickhouseUnavailableError:
                if (before := running.get(name)) is not None:
                    found[name] = before
        return found

    async def close(self) -> None:
        for name in [*self._compared]:
            await self._drop(name)

    async def _decide(
        self, name: str, config: QueriedSource, bounds: CandidateBounds
    ) -> QueriedSource:
        candidate = self._compared[name][0] if name in self._compared else None
        if candidate is not None and (candidate.config, candidate.bounds) == (config, bounds):
            if candidate.accepted or candidate.refused:
                return await self._settle(candidate)
            return self._settled[name][2]
        settled = self._settled.get(name)
        if settled is not None and settled[:2] == (config, bounds):
            return settled[2]
        known = await asyncio.to_thread(mapping_in_force, self._store, name)
        await self._drop(name)
        chosen = await self._chosen(name, config, bounds, known)
        self._settled[name] = (config, bounds, chosen)
        return chosen

    async def _chosen(
        self, name: str, config: QueriedSource, bounds: CandidateBounds, known: ActiveMapping | None
    ) -> QueriedSource:
        """Choose between what is configured and what was noted; compare them where it takes it."""
        good = None if known is None else by_noted_mapping(config, known.mapping)
        if (
            known is None
            or good is None
            or self._is_new(name)
            or rules_of(good) == rules_of(config)
        ):
            await self._forget_refusal(name)
            return config
        if config.forced == mapping_id(config):
            await self._forget_refusal(name)
            reason = "it is forced by the configuration"
            await self._note(name, config, reason, self._wall(), accepted=True)
            return config
        refused = (self._refused or {}).get(name)
        if refused is None or (refused.held_back.id, refused.bounds) != (
            mapping_id(config),
            bounds,
        ):
            await self._forget_refusal(name)
            self._compare(name, config, good, known.since_ms, bounds)
        return good

    def _compare(
        self,
        name: str,
        config: QueriedSource,
        good: QueriedSource,
        since_ms: int,
        bounds: CandidateBounds,
    ) -> None:
        candidate = Candidate(
            name, config, good, since_ms, bounds, self._store, self._wall, self._decided
        )
        loop = self._loops.start(
            f"compare {name}", candidate.step, candidate.pause_seconds, expected=AWAY
        )
        self._compared[name] = (candidate, loop)

    async def _settle(self, candidate: Candidate) -> QueriedSource:
        """Do what was found; noted first, so that a crash in between only compares again."""
        name, config, bounds = candidate.name, candidate.config, candidate.bounds
        reason, at = candidate.reason, candidate.since
        await self._note(name, config, reason, at, accepted=candidate.accepted)
        if candidate.refused:
            await self._remember(name, Refusal(held_back=candidate.held_back, bounds=bounds))
        chosen = config if candidate.accepted else self._settled[name][2]
        await self._drop(name)
        self._settled[name] = (config, bounds, chosen)
        return chosen

    async def _note(
        self, name: str, config: QueriedSource, reason: str, at: float, *, accepted: bool
    ) -> None:
        """Note what was decided when: where it is noted again it is the same event."""
        what = f"the mapping of {name} ({mapping_id(config)})"
        events = SourceEvents(name, self._store, lambda: at)
        await events.published(what, reason, accepted=accepted)

    def _names(self) -> set[str]:
        return {*self._compared, *self._settled, *(self._refused or {})}

    async def _drop(self, name: str) -> None:
        if name in self._compared:
            await self._loops.stop(self._compared.pop(name)[1])

    async def _forget(self, name: str) -> None:
        """Forget one that is gone or paused: it is compared again where it comes back."""
        await self._drop(name)
        self._settled.pop(name, None)
        await self._forget_refusal(name)

    async def _load(self) -> None:
        if self._refused is not None:
            return
        found: Any = await self._redis.hgetall(self._key)
        refused = {}
        for name, each in found.items():
            try:
                refused[name.decode()] = Refusal.model_validate_json(each)
            except ValidationError:  # of another release: it is compared again
                await self._redis.hdel(self._key, name)
        self._refused = refused

    async def _remember(self, name: str, refusal: Refusal) -> None:
        await self._redis.hset(self._key, name, refusal.model_dump_json())
        if self._refused is not None:
            self._refused[name] = refusal

    async def _forget_refusal(self, name: str) -> None:
        if self._refused is not None and name in self._refused:
            await self._redis.hdel(self._key, name)
            del self._refused[name]
