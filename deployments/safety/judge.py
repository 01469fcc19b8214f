"""One family's policy, compiled: what it makes of a batch, and who answers what may not leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from deployments.runtime.batch import Batch, Columns, FloatArray, Judgement, Refusal
from safety.checker import Checker, Violation
from safety.columns import LAST, LAST_AGE, is_parameter, last
from safety.fallback import Fallback
from safety.ladder import Ladder, LastAnswers
from safety.last_safe import LastSafe
from safety.limits import Level
from safety.policy import FamilyPolicy
from safety.possible import impossible
from safety.rules import Rule

BoolArray = npt.NDArray[np.bool_]
# A limit that was broken, as an answer shows it.
ViolationFields = dict[str, Any]

AWAY = {
    "rule": "model_away",
    "field": None,
    "value": None,
    "bound": None,
    "level": Level.WARNING,
    "message": "No model answered; this is the conservative fallback.",
}


@dataclass(frozen=True, slots=True)
class Judge:
    policy: FamilyPolicy
    checker: Checker
    fallback: Fallback
    ladder: Ladder
    outputs: tuple[str, ...]
    policy_hash: str
    # Those of a trial that the policy judges.
    parameters: tuple[str, ...]
    # What is kept of answers: the outputs, and what a later request must have in common with them.
    remembered: tuple[str, ...]
    # The columns of the last safe answer that limits read.
    reads_last: tuple[str, ...]

    @classmethod
    def of(cls, policy: FamilyPolicy) -> Self:
        checker = Checker(policy)
        reads_last = tuple(name for name in policy.context_columns() if name.startswith(LAST))
        remembers = policy.rungs.has_last_safe or bool(reads_last)
        return cls(
            policy,
            checker,
            Fallback(policy, checker),
            Ladder(policy, checker),
            policy.outputs,
            policy.content_hash(),
            tuple(filter(is_parameter, policy.context_columns())),
            (*policy.outputs, *policy.rungs.same) if remembers else (),
            reads_last,
        )

    def judge(self, batch: Batch, memory: LastSafe | None = None, now: float = 0.0) -> Judgement:
        """Judge what the model said, repair what may not leave, and remember what was safe."""
        if self.reads_last and memory is not None:
            self._add_last(batch, memory, now)
        if not self._is_answered(batch):
            return self._without_model(batch, memory, now)
        verdicts = self.checker.check(batch.columns, len(batch))
        if verdicts.broken is None:
            return self._as_it_is(batch, memory, now)
        repaired = self.fallback.repair(batch.columns, verdicts)
        columns = {
            name: np.asarray(repaired.columns[name], np.float64) for name in self._leaving(batch)
        }
        rungs = self._climb(columns, batch, repaired.fallback, memory, now)
        if memory is not None:
            safe = (verdicts.levels <= Level.WARNING.code) | repaired.clamped
            self._remember(batch, columns, safe & ~repaired.fallback, memory, now)
        levels = verdicts.levels.astype(np.float64)
        return Judgement(
            columns,
            levels,
            rungs,
            _as_fields(verdicts.violations),
            self.policy_hash,
            refusals=refusals(repaired.refused),
            alarms={row: rule.name for row, rule in repaired.alarms.items()},
        )

    def pass_on(self, batch: Batch, memory: LastSafe | None = None, now: float = 0.0) -> Judgement:
        """Let everything leave that can leave at all: for when the limits are not asked."""
        if not self._is_answered(batch):
            judged = self._without_model(batch, memory, now)
            judged.unchecked = True
            return judged
        found = impossible(self.policy, batch.columns)
        columns = {name: np.asarray(batch.columns[name], np.float64) for name in self.outputs}
        lost = np.zeros(len(batch), dtype=np.bool_)
        lost[list(found)] = True
        rungs = self._climb(columns, batch, lost, memory, now)
        levels = np.where(lost, float(Level.CRITICAL.code), 0.0)
        return Judgement(
            columns, levels, rungs, _as_fields(found), self.policy_hash, unchecked=True
        )

    def replace(self, judged: Judgement, batch: Batch, why: str) -> None:
        """Put the fallback in every row's place, without anything a model ever said, and say why.

        What the model's answers broke stays beside it: who thinks of ending this wants to know.
        """
        n = len(batch)
        answers = self.ladder.answer(self._inputs(batch), n)
        judged.columns, judged.rungs = answers.columns, answers.rungs
        refused, _ = self.fallback.barred({**batch.columns, **answers.columns}, n)
        judged.refusals = refusals(refused)
        judged.levels = np.maximum(judged.levels, float(Level.WARNING.code))
        judged.emergency = why

    def _as_it_is(self, batch: Batch, memory: LastSafe | None, now: float) -> Judgement:
        """Let leave what breaks nothing, as nearly every batch does: there is no row to look at."""
        n = len(batch)
        columns = {name: batch.columns[name] for name in self._leaving(batch)}
        if memory is not None:
            kept = [_column(batch, name) for name in self.remembered]
            _note(batch.entities, kept, n - batch.items, memory, now)
        return Judgement(columns, np.zeros(n), np.zeros(n), {}, self.policy_hash)

    def _leaving(self, batch: Batch) -> tuple[str, ...]:
        """Name what is answered; a moved parameter goes back to where the gateway took it from."""
        if not self.parameters:
            return self.outputs
        return (*self.outputs, *(each for each in self.parameters if each in batch.columns))

    def _is_answered(self, batch: Batch) -> bool:
        return all(map(batch.columns.__contains__, self.outputs))

    def _without_model(self, batch: Batch, memory: LastSafe | None, now: float) -> Judgement:
        """Answer a batch that no model answered: by the ladder alone, and at a warning."""
        n = len(batch)
        answers = self.ladder.answer(self._inputs(batch), n, self._last(batch, memory, now))
        levels = np.full(n, float(Level.WARNING.code))
        violations: dict[int, list[ViolationFields]] = {row: [AWAY] for row in range(n)}
        refused, alarms = self.fallback.barred({**batch.columns, **answers.columns}, n)
        return Judgement(
            answers.columns,
            levels,
            answers.rungs,
            violations,
            self.policy_hash,
            refusals=refusals(refused),
            alarms={row: rule.name for row, rule in alarms.items()},
        )

    def _climb(
        self, columns: Columns, batch: Batch, lost: BoolArray, memory: LastSafe | None, now: float
    ) -> FloatArray:
        """Answer the rows that are lost by the ladder; give every row's rung."""
        rungs = np.zeros(len(batch))
        if not lost.any():
            return rungs
        rows = np.flatnonzero(lost)
        known = self._last(batch, memory, now)
        inputs = {name: column[rows] for name, column in self._inputs(batch).items()}
        answers = self.ladder.answer(inputs, len(rows), None if known is None else known.take(rows))
        for name, column in answers.columns.items():
            columns[name] = np.array(columns[name])
            columns[name][rows] = column
        rungs[rows] = answers.rungs
        return rungs

    def _inputs(self, batch: Batch) -> Columns:
        return {name: each for name, each in batch.columns.items() if name not in self.outputs}

    def _last(self, batch: Batch, memory: LastSafe | None, now: float) -> LastAnswers | None:
        """Look up the last safe answers; an item of an answer's list has none."""
        if memory is None:
            return None
        columns, at = memory.find(batch.entities)
        at[len(batch) - batch.items :] = np.nan
        return LastAnswers(columns, now - at)

    def _add_last(self, batch: Batch, memory: LastSafe, now: float) -> None:
        """Put to a batch what its limits read of the last safe answers; NaN where there is none."""
        columns, at = memory.find(batch.entities)
        known = {last(name): column for name, column in columns.items()} | {LAST_AGE: now - at}
        batch.columns = batch.columns | {name: known[name] for name in self.reads_last}

    def _remember(
        self, batch: Batch, columns: Columns, safe: BoolArray, memory: LastSafe, now: float
    ) -> None:
        kept = [
            columns[name] if name in columns else _column(batch, name) for name in self.remembered
        ]
        known = len(batch) - batch.items
        rows = np.flatnonzero(safe[:known])
        if rows.size == known:
            _note(batch.entities, kept, known, memory, now)
        elif rows.size:
            entities = [batch.entities[row] for row in rows]
            memory.note(entities, [column[rows] for column in kept], now)


def refusals(refused: Mapping[int, Rule]) -> dict[int, Refusal]:
    """Say of each row that gets no answer by which rule."""
    return {
        row: {
            "code": "policy",
            "message": f"The safety policy refuses an answer by its rule {rule.name!r}: "
            f"{rule.message}",
        }
        for row, rule in refused.items()
    }


def _note(
    entities: list[str], kept: list[FloatArray], rows: int, memory: LastSafe, now: float
) -> None:
    """Remember the first rows; those behind them are items, which have no entity of their own."""
    if rows < len(entities):
        entities, kept = entities[:rows], [column[:rows] for column in kept]
    memory.note(entities, kept, now)


def _column(batch: Batch, name: str) -> FloatArray:
    column = batch.columns.get(name)
    return np.full(len(batch), np.nan) if column is None else column


def _as_fields(violations: Mapping[int, Sequence[Violation]]) -> dict[int, list[ViolationFields]]:
    return {row: [each._asdict() for each in found] for row, found in violations.items()}
