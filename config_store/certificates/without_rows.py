"""Rows that the ledger has not: those that got no answer, and those that were refused.

Gateways count them, by version. Nobody can recompute them from the ledger, so they make nothing
bad. But what is missing is not known to be good: a good verdict goes on only while the candidate is
shown to leave no more of them than the active version, by the margin of errors.
"""

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from config_store.certificates.plan import Plan
from models.evidence.rates import ArmsRate
from models.evidence.verdict import Verdict
from settings.frozen import Frozen

# Of a rollout that is not judged by errors.
USUAL_MARGIN = 0.005
# A candidate that is shown to leave more rows than this without an answer is held back, however
# many errors are let through: a client has nothing of them, not even the fallback's answer.
MOST_MORE_LOST = 0.001


class ArmCounted(Frozen):
    """The rows of one version in a step."""

    asked: int = Field(ge=0)
    lost: int = Field(0, ge=0, description="They got no answer, or an error of the platform's.")
    refused: int = Field(0, ge=0, description="The version told the client why it has no answer.")

    @model_validator(mode="after")
    def _were_asked(self) -> Self:
        if self.lost + self.refused > self.asked:
            raise ValueError(
                f"{self.lost} lost and {self.refused} refused rows are more than the "
                f"{self.asked} that were asked"
            )
        return self


class Counted(Frozen):
    """What the gateways counted of both versions until a step was judged."""

    incumbent: ArmCounted
    candidate: ArmCounted


def held_back(plan: Plan, counted: Counted) -> str:
    """Say why rows that the ledger has not hold a good verdict back; empty where they do not."""
    margins = [each.margin for each in plan.margins.metrics if each.name == "error_rate"]
    margin = margins[0] if margins else USUAL_MARGIN
    needed_bad, needed_good = plan.margins.needed
    for part, words in (("lost", "got no answer"), ("refused", "were refused")):
        said = _said(counted, part, words)
        if _evidence(plan, counted, part, margin)[1] < needed_good:
            return f"{said}: that it is no worse by {100 * margin:g} points is not shown"
        if part == "lost" and _evidence(plan, counted, part, MOST_MORE_LOST)[0] >= needed_bad:
            return f"{said}: it is worse by more than {100 * MOST_MORE_LOST:g} points"
    return ""


def concluded(
    plan: Plan, verdict: Verdict, reason: str, counted: Counted | None
) -> tuple[Verdict, str]:
    """Give the verdict on a step: what the tests say, unless a good one is held back."""
    why = "" if verdict is not Verdict.GOOD or counted is None else held_back(plan, counted)
    return (Verdict.UNKNOWN, why) if why else (verdict, reason)


def _evidence(plan: Plan, counted: Counted, part: str, margin: float) -> tuple[float, float]:
    """Give the logarithms of the evidence for worse by more than the margin, and for no worse."""
    test = ArmsRate(margin, plan.design.share)
    for arm, of in enumerate((counted.incumbent, counted.candidate)):
        hits = getattr(of, part)
        test.counts[arm] = np.array([hits, of.asked - hits])
    return test.log_evidence()


def _said(counted: Counted, part: str, words: str) -> str:
    incumbent, candidate = counted.incumbent, counted.candidate
    return (
        f"{getattr(candidate, part)} of {candidate.asked} rows of the candidate {words}, and "
        f"{getattr(incumbent, part)} of {incumbent.asked} of the active version"
    )
