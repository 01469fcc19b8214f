"""Recorded decisions under one version's rules: judged by the very functions that serve.

What came before a row is handed in: the ledger tells what its entity was last safely answered.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from config_store.store import Version
from deployments.api.endpoint import InferenceEndpoint
from deployments.impact.recorded import Recorded
from deployments.runtime.batch import Batch, Columns, Detail, FloatArray, Judgement
from deployments.safety.context_columns import ContextColumns
from deployments.safety.judge import Judge
from deployments.safety.list_items import ListItems
from safety.errors import ImpossibleOverrideError
from safety.last_safe import LastSafe
from safety.limits import LEVELS
from safety.moments import Window
from safety.overrides import number_of
from safety.rungs import RUNGS

Numbers = Mapping[str, float]


class LastAnswer(NamedTuple):
    """What an entity was last safely answered, and how long ago."""

    columns: Numbers
    age_seconds: float


@dataclass(frozen=True, slots=True)
class SafetyInput:
    """One decision as it comes to safety: what was known, and what the model said."""

    recorded: Recorded
    inputs: Numbers
    said: Numbers | None  # none where no model answered
    detail: Detail | None
    last: LastAnswer | None = None
    # What people put into fields of the answer, which holds under any version that has the field.
    put: Numbers | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """What would have left."""

    columns: dict[str, float]
    items: dict[str, list[float]]
    parameters: dict[str, Any]
    level: str
    rung: str
    # By rule and item what was broken, at which level.
    violations: dict[tuple[str, int | None], str]
    refused: str
    alarm: str
    # Whether an item of the answer's lists is no longer the model's.
    item_fell_back: bool


class Rules:
    """One version's rules, compiled once for each family when it is needed."""

    def __init__(self, version: Version, freezes: Sequence[Window] = ()) -> None:
        self.version = version
        self._freezes = freezes
        self._judges: dict[str, Judge] = {}
        self._context: dict[str, ContextColumns] = {}

    def judge(self, family: InferenceEndpoint) -> Judge:
        if family.name not in self._judges:
            policy = self.version.document.safety.family(family.name)
            self._judges[family.name] = Judge.of(policy)
            self._context[family.name] = ContextColumns(family, lambda: self._freezes)
        return self._judges[family.name]

    def inputs(self, rows: Sequence[Recorded], *, as_recorded: bool) -> Columns:
        """Give what the model and the limits read of some rows of one family.

        What nobody had measured is what this version assumes, unless it is left as it was recorded.
        """
        family, document = rows[0].family, self.version.document
        columns = dict(family.columns([row.body for row in rows], document))
        defaults = document.features.defaults
        for name in family.features:
            columns[name] = np.array(
                [
                    row.features[name]
                    if as_recorded or name not in row.assumed
                    else defaults.get(name, np.nan)
                    for row in rows
                ],
                dtype=np.float64,
            )
        return columns

    def play(self, rows: Sequence[SafetyInput]) -> list[Played]:
        """Judge rows of one family, all answered by a model or none, all checked or none."""
        first = rows[0].recorded
        family, judge = first.family, self.judge(first.family)
        batch = self._batch(rows, judge)
        details = [each.detail for each in rows]
        times = np.array([each.recorded.at for each in rows])
        context = self._context[family.name]
        batch, items = context.to_safety(batch, details, self.version, times)
        memory = None if first.emergency else _memory(judge, rows, items)
        judged = (judge.pass_on if first.is_unchecked else judge.judge)(batch, memory)
        if first.emergency:
            judge.replace(judged, batch, first.emergency)
        fell_back = _fallen_items(judged, items, len(rows))
        judged = context.from_safety(judged, details, items, self.version)
        return [self._played(judged, row, each, judge, fell_back) for row, each in enumerate(rows)]

    def _batch(self, rows: Sequence[SafetyInput], judge: Judge) -> Batch:
        columns = _columns(each.inputs for each in rows)
        if rows[0].said is not None:
            columns |= _columns(each.said or {} for each in rows)
        for name in judge.policy.outputs:  # a column that this version has and the record has not
            if rows[0].said is not None and name not in columns:
                columns[name] = np.full(len(rows), np.nan)
        return Batch(rows[0].recorded.family.name, [each.recorded.entity for each in rows], columns)

    def _played(
        self, judged: Judgement, row: int, to_judge: SafetyInput, judge: Judge, fell_back: set[int]
    ) -> Played:
        nested = to_judge.recorded.family.nested
        columns = {name: float(judged.columns[name][row]) for name in judge.policy.outputs}
        for name, value in (to_judge.put or {}).items():
            try:
                columns[name] = number_of(judge.policy, name, value)
            except ImpossibleOverrideError:  # this version has no such field, or no such choice
                continue
        is_models = judged.rungs[row] == 0 and to_judge.detail is not None
        data = to_judge.detail["data"] if is_models and to_judge.detail is not None else {}
        lists = {} if nested is None or not data else nested.lists
        part = to_judge.recorded.family.parameters
        refusal = judged.refusals.get(row)
        item = None if nested is None else nested.item
        return Played(
            columns=columns,
            items={name: list(map(float, data[listed])) for name, listed in lists.items()},
            parameters=dict(data.get(part, {})) if part else {},
            level=LEVELS[int(judged.levels[row])],
            rung=RUNGS[int(judged.rungs[row])],
            violations={
                (each["rule"], None if item is None else each.get(item)): str(each["level"])
                for each in judged.violations.get(row, ())
            },
            refused="" if refusal is None else refusal["message"],
            alarm=judged.alarms.get(row, ""),
            item_fell_back=row in fell_back,
        )


class _PastAnswers(LastSafe):
    """The last safe answers as the ledger tells them, a row each; nothing is noted in it.

    They are given by the rows' places and not by entity: each row has a past of its own.
    """

    def __init__(self, fields: Sequence[str], rows: Sequence[LastAnswer | None]) -> None:
        super().__init__(fields, most=1)
        known = [{} if each is None else each.columns for each in rows]
        self._columns = {name: np.array([_of(each, name) for each in known]) for name in fields}
        # The present is 0, so that ages come out to the bit.
        self._ages = np.array([np.nan if each is None else -each.age_seconds for each in rows])

    def find(self, entities: Sequence[str]) -> tuple[dict[str, FloatArray], FloatArray]:  # noqa: ARG002 - see above
        return dict(self._columns), self._ages.copy()

    def note(self, entities: Sequence[str], columns: Sequence[FloatArray], now: float) -> None:
        """Forget it: what a version would have answered is no past of the next row's."""


def _memory(judge: Judge, rows: Sequence[SafetyInput], items: ListItems | None) -> LastSafe | None:
    if not judge.remembered:
        return None
    owners = [*range(len(rows)), *(() if items is None else items.owners)]
    return _PastAnswers(judge.remembered, [rows[owner].last for owner in owners])


def _of(columns: Numbers, name: str) -> float:
    return columns.get(name, np.nan)


def _columns(rows: Iterable[Numbers]) -> Columns:
    listed = list(rows)
    return {name: np.array([each[name] for each in listed]) for name in listed[0]}


def _fallen_items(judged: Judgement, items: ListItems | None, rows: int) -> set[int]:
    if items is None:
        return set()
    fallback = judged.fallback[rows:].tolist()
    return {owner for owner, fell in zip(items.owners, fallback, strict=True) if fell}
