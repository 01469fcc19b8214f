"""Which metrics of which entities a source of another kind measures: a push source leaves these.

The latest number counts, whoever gave it. So any client's key could put numbers of its own in the
place of those that a Prometheus, say, has measured.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from config_store.sources import PushSource, SourcesConfig
from features.sources.source import Complaint, Gathered, add_up
from features.telemetry.by_source import measured_metrics
from features.telemetry.columns import Bools
from features.telemetry.tables import METRICS

DAY = 86_400
# Of an entity the store is asked so seldom; each row that is posted may be of another one.
KNOWN_SECONDS = 60.0
MOST_KNOWN = 50_000


class Ownership:
    """Leaves out of posted rows what another source measures."""

    def __init__(
        self, store: Any, config: Callable[[], SourcesConfig | None], wall: Callable[[], float]
    ) -> None:
        self._store = store
        self._config = config
        self._wall = wall
        # By entity: until when it is known, and the metrics that each owner measures.
        self._known: dict[str, tuple[float, dict[str, str]]] = {}
        self._owners: tuple[str, ...] = ()

    async def keep(self, source: str, gathered: Gathered) -> Gathered:
        """Give what the source may say; the rest is a complaint."""
        config = self._config()
        named = {} if config is None else config.named
        posting = named.get(source)
        if isinstance(posting, PushSource) and posting.overwrites:
            return gathered
        owners = tuple(sorted(each for each in named if named[each].kind != "push"))
        if owners != self._owners:
            self._owners, self._known = owners, {}
        if not owners or not len(gathered.telemetry):
            return gathered
        owned = await self._owned(dict.fromkeys(gathered.telemetry.entity.tolist()))
        return await asyncio.to_thread(_without, gathered, owned) if owned else gathered

    async def _owned(self, entities: Mapping[str, None]) -> dict[str, dict[str, str]]:
        now = self._wall()
        unknown = [each for each in entities if self._known.get(each, (0.0,))[0] <= now]
        if unknown:
            if len(self._known) + len(unknown) > MOST_KNOWN:
                self._known.clear()
                unknown = list(entities)
            since = int(now) - DAY
            found = await asyncio.to_thread(
                measured_metrics, self._store, self._owners, unknown, since
            )
            self._known |= {each: (now + KNOWN_SECONDS, found.get(each, {})) for each in unknown}
        return {each: known for each in entities if (known := self._known[each][1])}


def _without(gathered: Gathered, owned: Mapping[str, Mapping[str, str]]) -> Gathered:
    """Take the numbers out that others measure, and rows that say nothing then."""
    columns = gathered.telemetry.columns()
    entities = columns["entity"]
    taken = np.zeros(len(entities), dtype=bool)
    example = ""
    for metric in METRICS:
        owners = {each: by[metric] for each, by in owned.items() if metric in by}
        others: Bools = np.isin(entities, list(owners)) & np.isfinite(columns[metric])
        if others.any():
            entity = str(entities[others][0])
            example = example or (
                f"{metric} of {entity[:80]!r} is measured by the source {owners[entity]!r}: "
                "set overwrites of this one to true to replace it"
            )
            columns[metric] = np.where(others, np.nan, columns[metric])
            taken |= others
    if not taken.any():
        return gathered
    telemetry = replace(gathered.telemetry, **columns)
    says = np.any([np.isfinite(columns[metric]) for metric in METRICS], axis=0)
    kept = telemetry.rows(~taken | says | (columns["deploy"] != 0))
    complaint = Complaint("duplicate", int(taken.sum()), example)
    return replace(gathered, telemetry=kept, complaints=add_up([*gathered.complaints, complaint]))
