"""A batch of 64 rows by 15 columns as bytes: our frame, pickle, and JSON.

Each way starts with what its caller would hold (columns, or a dict a row) and ends with columns,
which is what the models take.
"""

import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import orjson

from benchmarks.decisions.figures import is_quick, median_us, show
from deployments.runtime.transport.frame import ANSWER, LENGTH, FloatArray, Frame, decode, encode

ROWS, COLUMNS = 64, 15
Columns = dict[str, FloatArray]
Rows = list[dict[str, float]]


class Way(NamedTuple):
    name: str
    pack: Callable[[], bytes]
    unpack: Callable[[bytes], Columns]


def batch() -> Columns:
    rng = np.random.default_rng(0)
    return {f"column_{i:02}": rng.lognormal(size=ROWS) for i in range(COLUMNS)}


def as_rows(columns: Columns) -> Rows:
    names, values = list(columns), np.array(list(columns.values())).T.tolist()
    return [dict(zip(names, row, strict=True)) for row in values]


def as_columns(rows: Rows) -> Columns:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def from_frame(packed: bytes) -> Columns:
    return decode(packed[LENGTH.size :])[2].columns


def ways(columns: Columns) -> list[Way]:
    rows = as_rows(columns)

    def unpickled(packed: bytes) -> Any:
        return pickle.loads(packed)  # noqa: S301 - our own bytes; that it runs what it reads is the point

    return [
        Way("frame of columns", lambda: encode(Frame(columns), 1, ANSWER), from_frame),
        Way("pickle of numpy columns", lambda: pickle.dumps(columns, protocol=5), unpickled),
        Way(
            "pickle of a dict a row",
            lambda: pickle.dumps(rows, protocol=5),
            lambda packed: as_columns(unpickled(packed)),
        ),
        Way(
            "orjson of a dict a row",
            lambda: orjson.dumps(rows),
            lambda packed: as_columns(orjson.loads(packed)),
        ),
    ]


def measured(way: Way, columns: Columns, calls: int) -> list[str]:
    packed = way.pack()
    back = way.unpack(packed)
    assert all((back[name] == column).all() for name, column in columns.items())  # noqa: S101 - or the figures mean nothing
    into = median_us(way.pack, calls)
    out = median_us(lambda: way.unpack(packed), calls)
    return [way.name, f"{into:.0f}", f"{out:.0f}", f"{into + out:.0f}", f"{len(packed):,}"]


def run(*, quick: bool) -> None:
    columns = batch()
    calls = 200 if quick else 5_000
    head = ("", "pack µs", "unpack µs", "both µs", "bytes")
    rows = [measured(way, columns, calls) for way in ways(columns)]
    show(f"{ROWS} rows by {COLUMNS} columns", head, rows)


if __name__ == "__main__":
    run(quick=is_quick(__doc__))
