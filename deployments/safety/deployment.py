"""The safety deployment: judges every batch by its version's policy before anything leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from config_store.store import Version
from deployments.runtime.batch import Batch, Judgement, Refusal
from deployments.runtime.stage import Stage
from deployments.runtime.transport.frame import Frame
from safety.checker import Checker, Violation
from safety.columns import is_parameter
from safety.fallback import Fallback
from safety.limits import Level
from safety.policy import FamilyPolicy
from safety.rules import Rule


@dataclass(frozen=True, slots=True)
class Judge:
    """One family's policy, compiled."""

    checker: Checker
    fallback: Fallback
    outputs: tuple[str, ...]
    parameters: tuple[str, ...]  # those of a trial that the policy judges
    policy_hash: str

    @classmethod
    def of(cls, policy: FamilyPolicy) -> Self:
        checker = Checker(policy)
        return cls(
            checker,
            Fallback(policy, checker),
            policy.outputs,
            tuple(filter(is_parameter, policy.beside())),
            policy.content_hash(),
        )

    def judge(self, batch: Batch) -> Judgement:
        n = len(batch)
        if not all(name in batch.columns for name in self.outputs):
            return self._without_model(batch)
        verdicts = self.checker.check(batch.columns, n)
        repaired = self.fallback.repair(batch.columns, verdicts)
        # A moved parameter goes back to where the gateway took it from.
        leaving = [*self.outputs, *(each for each in self.parameters if each in batch.columns)]
        columns = {name: np.asarray(repaired.columns[name], np.float64) for name in leaving}
        violations = {
            row: [as_dict(v) for v in found] for row, found in verdicts.violations.items()
        }
        levels = verdicts.levels.astype(np.float64)
        fallback = repaired.fallback.astype(np.float64)
        return Judgement(
            columns,
            levels,
            fallback,
            violations,
            self.policy_hash,
            refusals=refusals(repaired.refused),
            alarms={row: rule.name for row, rule in repaired.alarms.items()},
        )

    def _without_model(self, batch: Batch) -> Judgement:
        """Answer a batch that no model answered: by the fallback alone, and at a warning."""
        n = len(batch)
        answer = self.fallback.answer(batch.columns, n)
        columns = {name: np.asarray(column, np.float64) for name, column in answer.items()}
        levels = np.full(n, float(Level.WARNING.code))
        note = [
            {
                "rule": "model_away",
                "field": None,
                "value": None,
                "bound": None,
                "level": Level.WARNING,
                "message": "No model answered; this is the conservative fallback.",
            }
        ]
        violations = dict.fromkeys(range(n), note)
        refused, alarms = self.fallback.barred({**batch.columns, **columns}, n)
        return Judgement(
            columns,
            levels,
            np.ones(n),
            violations,
            self.policy_hash,
            refusals=refusals(refused),
            alarms={row: rule.name for row, rule in alarms.items()},
        )


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


def as_dict(violation: Violation) -> dict[str, Any]:
    return violation._asdict()


class Safety(Stage[dict[str, Judge]]):
    async def answer(self, frame: Frame, compiled: dict[str, Judge]) -> Frame:
        batch = Batch.from_frame(frame)
        return compiled[batch.family].judge(batch).to_frame()

    def compile(self, version: Version) -> dict[str, Judge]:
        families = version.document.safety.families
        return {family: Judge.of(policy) for family, policy in families.items()}
