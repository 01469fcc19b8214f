"""Telemetry that clients post: rows or columns as JSON, or CSV; read a little at a time."""

from collections.abc import Generator
from typing import NamedTuple

from features.errors import PostRefusedError
from features.sources.checks import RawRows
from features.sources.posted_cells import (
    METRICS,
    Block,
    Faults,
    deploys,
    entities,
    numbers,
    times,
)
from features.sources.posted_csv import csv_blocks
from features.sources.posted_json import json_blocks
from features.sources.source import Complaint

MOST_BYTES = 8 * 1024 * 1024
_NAMED_ROWS = 3


class Posted(NamedTuple):
    """How many rows a body has, those that could be read, and what was wrong with the others."""

    received: int
    rows: RawRows
    complaints: tuple[Complaint, ...]


def steps(raw: bytes, *, csv: bool) -> Generator[None, None, Posted]:
    """Read a body in steps of about a millisecond, between which others get their turn.

    Raises PostRefusedError where the body cannot be read, or has no rows.
    """
    table = _Table()
    for block in csv_blocks(raw) if csv else json_blocks(raw):
        if block.rows:
            table.add(block)
        yield
    return table.posted()


class _Table:
    """Gathers blocks into the columns of all rows that are right."""

    def __init__(self) -> None:
        self._count = 0
        self._entity: list[str] = []
        self._ts: list[float] = []
        self._metrics: dict[str, list[float | None]] = {name: [] for name in METRICS}
        self._deploy: list[bool] = []
        self._given: set[str] = set()
        self._faulty = 0
        self._examples: list[str] = []

    def add(self, block: Block) -> None:
        self._given.update(block.columns)
        nothing = (None,) * block.rows
        names, faults = entities(block.columns.get("entity", nothing))
        ts, wrong = times(block.columns.get("ts", nothing))
        faults = wrong | faults
        values = {}
        for name in METRICS:
            values[name], wrong = numbers(name, block.columns.get(name, nothing))
            faults = wrong | faults
        began, wrong = deploys(block.columns.get("deploy", nothing))
        faults = wrong | faults
        self._note(faults)
        self._count += block.rows
        right = [at for at in range(block.rows) if at not in faults]
        self._entity += [names[at] for at in right]
        self._ts += [ts[at] for at in right]
        self._deploy += [began[at] for at in right]
        for name, column in values.items():
            self._metrics[name] += [column[at] for at in right]

    def posted(self) -> Posted:
        if not self._count:
            raise PostRefusedError("rows", "the body has no rows")
        complaints: tuple[Complaint, ...] = ()
        if self._faulty:
            complaints = (Complaint("schema", self._faulty, "; ".join(self._examples)),)
        given = {name: self._metrics[name] for name in METRICS if name in self._given}
        deploy = self._deploy if "deploy" in self._given else None
        return Posted(self._count, RawRows(self._entity, self._ts, given, deploy), complaints)

    def _note(self, faults: Faults) -> None:
        self._faulty += len(faults)
        for at in sorted(faults)[: _NAMED_ROWS - len(self._examples)]:
            self._examples.append(f"row {self._count + at + 1}: {faults[at]}")
