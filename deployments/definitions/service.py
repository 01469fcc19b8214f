"""Decides which definitions are in force, and tells everybody.

A changed definition is compared first (comparison.py). One that is out of bounds is held back,
which Redis remembers, so that a restart neither compares nor notes it again. A function's module
counts with its text: a changed file is a changed definition.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from redis.asyncio import Redis

from config_store.document import FeatureConfig
from deployments.definitions.changes import Change, changes, settled
from deployments.definitions.comparison import Comparison, DefinitionsComparison, Versions
from deployments.definitions.in_force import (
    ActiveDefinition,
    Decided,
    Refusal,
    catalogue_in_force,
    catalogue_of_named,
    definitions_key,
)
from deployments.telemetry.events import SourceEvents
from deployments.telemetry.publishing import NO_FUNCTIONS
from features.candidates.bounds import CandidateBounds
from features.candidates.compared import outside
from features.definitions.catalogue import Catalogue
from features.errors import BadModuleError
from features.functions.evaluated import FunctionHealth, Functions
from features.functions.kept import FunctionModules
from features.vectors.computed import Facts
from features.vectors.functions import FunctionFeatures

MOST_SHOWN = 5
# Also where nothing changed: a Redis that lost its keys has them again.
TELL_SECONDS = 30.0
AGAIN_SECONDS = 10.0
NEW = "The configured definition is compared with the one in force, which goes on"
NOTHING = "there is nothing stored to compare it with"
FORCED = "it is forced by the configuration"

Named = dict[str, ActiveDefinition]


class Read(NamedTuple):
    """What the configuration and the operator's folder say, and of which modules nothing is."""

    named: Named
    trouble: dict[str, str]


class DefinitionsService:
    """Keeps the definitions of one history."""

    def __init__(
        self,
        store: Any,
        redis: Redis,
        modules: FunctionModules,
        facts_of: Callable[[str], Facts],
        changed: Callable[[], Awaitable[None]],
        wall: Callable[[], float],
    ) -> None:
        """Take what is awaited when vectors have to be published with other functions."""
        self._redis = redis
        self._key = definitions_key(redis)
        self._modules = modules
        self._changed = changed
        self._wall = wall
        self._config: FeatureConfig | None = None
        self._decided: Decided | None = None
        self._told: bytes | None = None
        self._told_at = -math.inf
        self._seen: Read | None = None
        self._settled: tuple[Read, CandidateBounds] | None = None
        self._again_at = -math.inf
        self._events = SourceEvents("", store, wall)
        self._functions = Functions(modules.kept, self._function_seconds, wall=wall)
        self._comparison = DefinitionsComparison(
            store, modules.kept, self._function_seconds, facts_of
        )
        self.own: FunctionFeatures = NO_FUNCTIONS
        """The features by functions that are in force."""

    def want(self, config: FeatureConfig) -> None:
        """Take over a configuration; the next step decides on it."""
        self._config = config

    def catalogue(self, config: FeatureConfig) -> Catalogue:
        """Give the definitions in force, as gateways do."""
        return catalogue_in_force(config, self._decided)

    async def step(self) -> None:
        """Decide on what changed since the last step."""
        config = self._config
        if config is None:
            return
        if self._decided is None:
            await self._load(config)
        decided = self._decided or Decided()
        wanted = await asyncio.to_thread(self._read, config)
        asked = wanted, config.publishing
        # A file may be half written: it counts once it is the same twice.
        if wanted != self._seen:
            self._again_at = -math.inf
        elif asked != self._settled and self._wall() >= self._again_at:
            await self._decide(decided, wanted, config)
            waits = any(not each.refused for each in (self._decided or decided).refusals)
            self._settled = None if waits else asked
            self._again_at = self._wall() + AGAIN_SECONDS if waits else -math.inf
        self._seen = wanted
        await self._tell(wanted.trouble)

    async def close(self) -> None:
        await asyncio.to_thread(self._functions.close)

    async def _load(self, config: FeatureConfig) -> None:
        """Go on with what was in force before a restart."""
        told: Any = await self._redis.get(self._key)
        found, self._told = Decided.read(told) or Decided(), told
        try:
            await self._use(found.named, config)
        except ValueError:  # it does not fit the features that this release ships
            found = Decided()
        self._decided = found.model_copy(update={"health": {}})
        if self.own.names:
            await self._changed()

    def _read(self, config: FeatureConfig) -> Read:
        """Read the modules that the configuration names; in a thread."""
        digests: dict[str, str] = {}
        trouble: dict[str, str] = {}
        for module in {each.module for each in config.definitions.values() if each.module}:
            try:
                digests[module] = self._modules.take_in(module)
            except BadModuleError as error:
                trouble[module] = str(error)
        named = {
            name: ActiveDefinition(definition=each, sha256=digests.get(each.module or "", ""))
            for name, each in config.definitions.items()
        }
        return Read(named, trouble)

    async def _decide(self, decided: Decided, wanted: Read, config: FeatureConfig) -> None:
        good = decided.named
        held: list[tuple[Change, Refusal]] = []
        for change in changes(good, wanted.named):
            refusal = self._known(decided, change, config)
            if refusal is None:
                refusal = await self._judged(decided, change, wanted, config)
            if refusal is not None:
                held.append((change, refusal))
        named = settled(good, wanted.named, [change for change, _ in held])
        before = self.own.layout
        try:
            await self._use(named, config)
        except ValueError:  # what is held back and what is new need each other
            named = good
            await self._use(named, config)
        refusals = tuple(refusal for _, refusal in held)
        self._decided = decided.model_copy(update={"named": named, "refusals": refusals})
        if self.own.layout.id != before.id:
            await self._tell(wanted.trouble)
            await self._changed()
        await asyncio.to_thread(self._forget_modules, [*named.values(), *wanted.named.values()])

    def _known(self, decided: Decided, change: Change, config: FeatureConfig) -> Refusal | None:
        """Give what was refused before, by the same bounds, and is not forced since."""
        if self._is_forced(change, config):
            return None
        for each in decided.refusals:
            if each.refused and (each.ids, each.bounds) == (change.ids, config.publishing):
                return each
        return None

    async def _judged(
        self, decided: Decided, change: Change, wanted: Read, config: FeatureConfig
    ) -> Refusal | None:
        """Decide on a change; None where it is accepted."""
        if self._is_forced(change, config):
            await self._note(change, FORCED, accepted=True)
            return None
        if lost := _lost_module(decided.named, change, wanted):
            found = Comparison(refusal=lost)
        else:
            found = await self._compared(decided, change, wanted, config)
        if found.slow and self._gives(change):
            return self._waiting(change, config, f"{NEW}. {found.slow}; it is tried again")
        far = outside(found.figures)
        if not found.refusal and not far:
            figures = f"{len(found.figures)} figures are within their bounds"
            await self._note(change, figures if found.figures else NOTHING, accepted=True)
            return None
        further = f"; and {len(far) - MOST_SHOWN} more" if len(far) > MOST_SHOWN else ""
        reason = found.refusal or "; ".join(map(str, far[:MOST_SHOWN])) + further
        await self._note(change, reason, accepted=False)
        return Refusal(
            ids=change.ids,
            bounds=config.publishing,
            since=self._wall(),
            why=f"The new definition is held back, the one before goes on: {reason}",
            refused=True,
            figures=found.figures,
        )

    async def _compared(
        self, decided: Decided, change: Change, wanted: Read, config: FeatureConfig
    ) -> Comparison:
        waiting = self._waiting(change, config, NEW)
        others = tuple(each for each in decided.refusals if not each.ids.keys() & change.ids.keys())
        self._decided = decided.model_copy(update={"refusals": (*others, waiting)})
        await self._tell(wanted.trouble)
        seconds = config.stale_after_seconds
        versions = Versions(
            catalogue_of_named(decided.named, seconds),
            catalogue_of_named(wanted.named, seconds),
            change.names,
        )
        return await asyncio.to_thread(
            self._comparison.compared, versions, config.publishing, self._wall()
        )

    def _waiting(self, change: Change, config: FeatureConfig, why: str) -> Refusal:
        return Refusal(
            ids=change.ids, bounds=config.publishing, since=self._wall(), why=why, refused=False
        )

    def _gives(self, change: Change) -> bool:
        """Tell whether functions that a change is about give something where vectors are made."""
        health = [self._functions.health.get(name) for name in change.names & {*self.own.names}]
        return any(each is None or each.state != "failing" for each in health)

    @staticmethod
    def _is_forced(change: Change, config: FeatureConfig) -> bool:
        return all(config.definitions[name].forced == id_ for name, id_ in change.ids.items())

    async def _note(self, change: Change, reason: str, *, accepted: bool) -> None:
        for name, id_ in change.ids.items():
            await self._events.published(f"the feature {name} ({id_})", reason, accepted=accepted)

    async def _use(self, named: Mapping[str, ActiveDefinition], config: FeatureConfig) -> None:
        """Put these definitions in force; ValueError where they do not fit together."""
        catalogue = catalogue_of_named(named, config.stale_after_seconds)
        own = FunctionFeatures(catalogue, self._functions)
        await asyncio.to_thread(self._functions.prepare, own.functions)
        self.own = own

    def _forget_modules(self, needed: list[ActiveDefinition]) -> None:
        self._modules.kept.keep_only({each.sha256 for each in needed})

    async def _tell(self, trouble: Mapping[str, str]) -> None:
        """Tell gateways what is in force, where it is another thing than before."""
        if self._decided is None:
            return
        health = {
            name: self._health(name, each, trouble)
            for name, each in self._decided.named.items()
            if each.definition.function is not None
        }
        decided = self._decided.model_copy(
            update={"health": {name: each for name, each in health.items() if each is not None}}
        )
        self._decided = decided
        written = decided.model_dump_json().encode()
        if written != self._told or self._wall() - self._told_at > TELL_SECONDS:
            await self._redis.set(self._key, written)
            self._told, self._told_at = written, self._wall()

    def _health(
        self, name: str, each: ActiveDefinition, trouble: Mapping[str, str]
    ) -> FunctionHealth | None:
        found = self._functions.health.get(name)
        reason = trouble.get(each.definition.module or "")
        if each.can_be_computed or reason is None:
            return found
        before = (self._decided or Decided()).health.get(name)
        since = before.since if before is not None and before.why == reason else self._wall()
        return FunctionHealth(state="failing", why=reason, since=since)

    def _function_seconds(self) -> float:
        return (self._config or FeatureConfig()).function_seconds


def _lost_module(good: Mapping[str, ActiveDefinition], change: Change, wanted: Read) -> str:
    """Say why a function cannot be run that shall take the place of what can be computed."""
    for name in change.ids:
        new = wanted.named[name]
        if not new.can_be_computed and good[name].can_be_computed:
            return wanted.trouble.get(new.definition.module or "", "its module cannot be read")
    return ""
