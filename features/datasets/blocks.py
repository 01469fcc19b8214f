"""Cuts a spine into blocks: of each the rows of telemetry fit into a little memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from features.datasets.spine import Ints, Spine
from features.telemetry.merged import Scope
from features.telemetry.tables import ColumnStore

DAY = 86_400
# A stretch of the spine is read with what lies before it, up to a week: in shorter ones most of
# what is read would be that.
STRETCH_SECONDS = 28 * DAY
# Of telemetry, each with a dozen numbers, which are held a few times while they are read.
MOST_ROWS = 500_000
# Of features, each with its times and marks.
MOST_VALUES = 2_000_000


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of the spine, by place, and the entities that they are of, sorted."""

    entities: tuple[str, ...]
    places: Ints


def blocks(store: ColumnStore, spine: Spine, features: int, reach_seconds: int) -> Iterator[Block]:
    """Give the spine block by block: by stretch of time, then by entity and moment."""
    stretch = spine.at_ms // (STRETCH_SECONDS * 1000)
    order = np.lexsort((spine.at_ms, spine.entity, stretch))
    for rows in _runs(order, stretch):
        since = int(spine.at_ms[rows].min()) // 1000 - reach_seconds
        until = int(spine.at_ms[rows].max()) // 1000 + 1
        parts = [_Part.of(spine, each) for each in _runs(rows, spine.entity)]
        stored = _stored(store, [each.entity for each in parts], Scope(since, until))
        for taken in _packed(parts, stored, max(MOST_VALUES // features, 1)):
            places = np.concatenate([each.places for each in taken])
            yield Block(tuple(dict.fromkeys(each.entity for each in taken)), places)


class _Part(NamedTuple):
    entity: str
    places: Ints

    @classmethod
    def of(cls, spine: Spine, places: Ints) -> Self:
        return cls(str(spine.entity[places[0]]), places)


def _runs(order: Ints, key: npt.NDArray[Any]) -> list[Ints]:
    changes = np.flatnonzero(key[order[1:]] != key[order[:-1]]) + 1
    return np.split(order, changes)


def _packed(parts: Iterable[_Part], stored: Mapping[str, int], most: int) -> Iterator[list[_Part]]:
    """Put entities together as long as both their telemetry and their rows fit."""
    taken: list[_Part] = []
    telemetry = rows = 0
    for whole in parts:
        for places in np.split(whole.places, range(most, len(whole.places), most)):
            more = stored.get(whole.entity, 0)
            if taken and (rows + len(places) > most or telemetry + more > MOST_ROWS):
                yield taken
                taken, telemetry, rows = [], 0, 0
            taken.append(_Part(whole.entity, places))
            telemetry, rows = telemetry + more, rows + len(places)
    yield taken


def _stored(store: ColumnStore, names: Sequence[str], scope: Scope) -> Mapping[str, int]:
    """Count what is stored of each entity."""
    within = replace(scope, entities=names)
    sql = (
        "SELECT entity, toInt64(count()) AS stored FROM measurements"  # noqa: S608 - no text from outside
        f" WHERE {within.where} GROUP BY entity"
    )
    return {row["entity"]: int(row["stored"]) for row in store.query(sql, within.params)}
