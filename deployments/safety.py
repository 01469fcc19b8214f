"""The safety deployment: judges every batch against the active policy before anything leaves."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ray import serve

from config_store.store import Version
from deployments.batch import Batch, Judgement
from deployments.stage import Stage
from deployments.wire.frame import Frame
from safety.checker import Checker, Violation
from safety.fallback import Fallback
from safety.limits import Level


@dataclass(frozen=True, slots=True)
class Judge:
    """One family's policy, compiled."""

    checker: Checker
    fallback: Fallback
    outputs: tuple[str, ...]

    def judge(self, batch: Batch, policy_version: int) -> Judgement:
        n = len(batch)
        if not all(name in batch.columns for name in self.outputs):
            return self._without_model(batch, policy_version)
        verdicts = self.checker.check(batch.columns, n)
        repaired = self.fallback.repair(batch.columns, verdicts)
        columns = {name: np.asarray(repaired.columns[name], np.float64) for name in self.outputs}
        violations = {
            row: [as_dict(v) for v in found] for row, found in verdicts.violations.items()
        }
        levels = verdicts.levels.astype(np.float64)
        fallback = repaired.fallback.astype(np.float64)
        return Judgement(columns, levels, fallback, violations, policy_version)

    def _without_model(self, batch: Batch, policy_version: int) -> Judgement:
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
        fallback = np.ones(n)
        return Judgement(columns, levels, fallback, dict.fromkeys(range(n), note), policy_version)


def as_dict(violation: Violation) -> dict[str, Any]:
    return violation._asdict()


@serve.deployment(name="safety")
class Safety(Stage):
    async def __init__(self) -> None:  # type: ignore[misc] # Serve awaits it
        super().__init__("safety")
        await self.open()

    async def answer(self, frame: Frame) -> Frame:
        batch = Batch.from_frame(frame)
        return self._judges[batch.family].judge(batch, self._version).to_frame()

    def configure(self, version: Version) -> None:
        judges = {}
        for family, policy in version.document.safety.families.items():
            checker = Checker(policy)
            judges[family] = Judge(checker, Fallback(policy, checker), policy.outputs)
        self._judges, self._version = judges, version.number

    async def __del__(self) -> None:
        await self.close()
