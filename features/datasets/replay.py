"""Computes rows of a training set once more by the code of the live path, and compares.

The rows are drawn by a seed that follows from the file itself, so nobody chose them. Each is held
against two things: the digest that was noted when the live path published, and the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.datasets.build import Wanted
from features.datasets.file import sampled
from features.datasets.rows import Floats
from features.definitions.catalogue import STORED
from features.rows import MINUTE
from features.telemetry.tables import ColumnStore
from features.vectors.computed import StoredFeatures
from features.vectors.functions import FunctionFeatures
from features.vectors.publications import Served, digest_of, served
from features.vectors.reading import Reading

MOST_SHOWN = 20


@dataclass(slots=True)
class Replay:
    """What was compared, and what was found."""

    rows: int = 0
    recorded: int = 0
    """Rows whose vector was noted by the live path, under the present definitions."""
    values: int = 0
    unequal: list[str] = field(default_factory=list)
    """What differed, in words; the first few."""
    differences: int = 0

    @property
    def is_equal(self) -> bool:
        return not self.differences

    def differ(self, what: str) -> None:
        self.differences += 1
        if len(self.unequal) < MOST_SHOWN:
            self.unequal.append(what)


def replay(store: ColumnStore, wanted: Wanted, path: Path, rows: int, seed: int) -> Replay:
    """Compare so many rows of a file with what the live path gives for them."""
    found = Replay()
    live = StoredFeatures(store, wanted.facts_of)
    functions = FunctionFeatures(wanted.catalogue, wanted.functions)
    names = _live_names(wanted)
    reading = Reading(wanted.catalogue, names)
    for row in _sample(path, names, rows, seed):
        entity, at_ms = row["entity"], row["time"]
        record = served(store, [entity], np.zeros(1, dtype=np.int64), np.array([at_ms]))
        found.rows += 1
        vector = _vector(live, functions, entity, at_ms, record)
        if record.found[0] and record.layout[0] == functions.layout.id.hex():
            _hold_against_record(found, f"{entity} at {at_ms} ms", vector, record)
        stored = [(functions.layout, vector) if vector else None]
        expected = reading.read(stored, at_ms / 1000).values[0]
        _hold_against_file(found, f"{entity} at {at_ms} ms", names, row, expected)
    return found


def _live_names(wanted: Wanted) -> list[str]:
    """Name the features that the live path publishes, or derives of what it publishes."""
    published = {each.name for each in STORED}
    return [
        name
        for name in wanted.names
        if all(
            each in published or wanted.catalogue.inputs(each)
            for each in wanted.catalogue.order([name])
        )
    ]


def _sample(path: Path, names: Sequence[str], rows: int, seed: int) -> list[dict[str, Any]]:
    table = sampled(path, rows, seed, ["entity", "time", *names])
    times = table["time"].cast(pa.int64())
    found: list[dict[str, Any]] = table.set_column(1, "time", times).to_pylist()
    return found


def _vector(
    live: StoredFeatures, functions: FunctionFeatures, entity: str, at_ms: int, record: Served
) -> bytes | None:
    moment = int(record.moment_ms[0]) if record.found[0] else at_ms
    cadence = float(record.cadence[0]) if record.found[0] else MINUTE
    found = live.published([entity], cadence, moment)
    vectors = {name: each.vector for name, each in found.items()}
    vectors = functions.as_computed_again(vectors, functions.put_into(vectors))
    return vectors[entity].encode(functions.layout) if vectors else None


def _hold_against_record(found: Replay, row: str, vector: bytes | None, record: Served) -> None:
    found.recorded += 1
    if vector is None or digest_of(vector) != int(record.digest[0]):
        found.differ(f"{row}: the vector is not the one that was published")


def _hold_against_file(
    found: Replay, row: str, names: Sequence[str], written: dict[str, Any], expected: Floats
) -> None:
    found.values += len(names)
    for name, value in zip(names, expected.tolist(), strict=True):
        mine = written[name]
        if (mine is None) != np.isnan(value) or (mine is not None and mine != value):
            found.differ(f"{row}: {name} is {mine} in the file, and {value:g} by the live path")
