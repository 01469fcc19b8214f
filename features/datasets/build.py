"""Makes a training set block by block: what was served to each row, and which vector it was."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from features.datasets.blocks import Block, blocks
from features.datasets.past import Past, read_pasts
from features.datasets.rows import Ints
from features.datasets.spine import Spine
from features.datasets.vectors import Plan
from features.definitions.catalogue import Catalogue
from features.definitions.definition import HOUR, Kind
from features.rows import MINUTE
from features.telemetry.tables import ColumnStore
from features.vectors.computed import Facts
from features.vectors.publications import Served, served
from features.vectors.reading import CallsFunctions, Features, Reading

# A moment's windows end up to a step before it, and it is settled some seconds later.
_LONGEST_STEP = HOUR + MINUTE


@dataclass(frozen=True, slots=True)
class Wanted:
    """The features of a training set, and what else decides their values."""

    catalogue: Catalogue
    names: tuple[str, ...]
    facts_of: Callable[[str], Facts]
    functions: CallsFunctions | None = None
    """Without them what users' functions compute is missing."""


@dataclass(frozen=True, slots=True)
class DatasetPart:
    """A part of a training set: the places of its rows in the spine, and what they hold."""

    places: Ints
    moment_ms: Ints
    """As of when each row was computed."""
    served: Served
    features: Features


class Builder:
    """Makes the rows of one training set."""

    def __init__(self, store: ColumnStore, wanted: Wanted, spine: Spine) -> None:
        self._store = store
        self._wanted = wanted
        self._spine = spine
        self._reading = Reading(wanted.catalogue, wanted.names, wanted.functions)
        self._order = self._reading.order
        definitions = [wanted.catalogue.by_name[name] for name in self._order]
        self._plan = Plan([each for each in definitions if each.kind is not Kind.DERIVED])
        self._reach = self._plan.longest_seconds + int(_LONGEST_STEP)

    def made(self, threads: int = 1) -> Iterator[DatasetPart]:
        """Make the parts in their order; in several threads a few are made ahead."""
        parts = blocks(self._store, self._spine, len(self._order), self._reach)
        with ThreadPoolExecutor(threads, thread_name_prefix="dataset") as pool:
            waiting = []
            for block in parts:
                waiting.append(pool.submit(self._make, block))
                if len(waiting) > threads:
                    yield waiting.pop(0).result()
            for each in waiting:
                yield each.result()

    def _make(self, block: Block) -> DatasetPart:
        at_ms = self._spine.at_ms[block.places]
        entity = self._spine.entity[block.places]
        who = np.searchsorted(np.array(block.entities), entity)
        known = served(self._store, block.entities, who, at_ms)
        # Where nothing is noted of what was served, a row has what was known at its own moment.
        moment = np.where(known.found, known.moment_ms, at_ms)
        features = Features.nothing(self._order, len(who))
        for at, past in enumerate(self._pasts(block.entities, moment)):
            mine = np.flatnonzero(who == at)
            self._fill(features, mine, past, block.entities[at], moment[mine])
        cadence = np.where(known.found, known.cadence, MINUTE)
        return DatasetPart(
            block.places, moment, known, self._reading.complete(features, at_ms / 1000, cadence)
        )

    def _pasts(self, entities: Sequence[str], moment_ms: Ints) -> Iterator[Past]:
        first, last = int(moment_ms.min()), int(moment_ms.max())
        # A window may be as of a step before its moment, by the mappings that were in force then.
        known = (first - int(_LONGEST_STEP) * 1000, last)
        since = first // 1000 - self._reach
        yield from read_pasts(self._store, self._plan.columns, entities, since, known)

    def _fill(
        self, features: Features, mine: Ints, past: Past, entity: str, moment_ms: Ints
    ) -> None:
        for part in self._plan.parts(past, self._wanted.facts_of(entity), moment_ms):
            places = np.array([self._order.index(name) for name in part.names])
            cells = np.ix_(mine, places)
            features.values[cells] = part.values
            features.event_time[cells] = part.event_time[:, None]
            features.known_time[cells] = part.known_time[:, None]
