"""Rows that the ledger has not hold a good verdict back, and a certificate's verdict says so."""

import numpy as np
import pytest

from config_store.certificates.certificate import FIRST, Certificate
from config_store.certificates.recompute import Refuted, Verified, recompute
from config_store.certificates.without_rows import ArmCounted, Counted, held_back
from models.evidence.verdict import Verdict
from tests.config_store.certificates.step import Step, plan_of

PLAN = plan_of(paired=False)  # errors may be 5 points more
FINE = ArmCounted(asked=10_000, lost=1, refused=500)


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        (FINE, ""),
        (ArmCounted(asked=10_000, lost=1, refused=600), ""),
        (ArmCounted(asked=10_000, lost=1, refused=1500), "1500 of 10000 rows of the candidate"),
        (ArmCounted(asked=10_000, lost=5000), "got no answer"),
        (ArmCounted(asked=10_000, lost=100), "worse by more than 0.1 points"),
        (ArmCounted(asked=20), "that it is no worse by 5 points is not shown"),
        (ArmCounted(asked=0), "0 of 0 rows"),
    ],
)
def test_what_holds_a_good_verdict_back(candidate: ArmCounted, why: str) -> None:
    found = held_back(PLAN, Counted(incumbent=FINE, candidate=candidate))
    assert why in found
    assert bool(why) is bool(found)


def test_one_at_the_margin_is_seldom_ever_let_through_however_often_somebody_looks() -> None:
    rng, passed = np.random.default_rng(5), 0
    for _ in range(40):
        asked, lost, refused = np.zeros(2, int), np.zeros(2, int), np.zeros(2, int)
        for _ in range(8):
            asked += 400
            refused += rng.binomial(400, [0.02, 0.07])
            arms = [
                ArmCounted(asked=a, lost=b, refused=c)
                for a, b, c in zip(asked.tolist(), lost.tolist(), refused.tolist(), strict=True)
            ]
            if not held_back(PLAN, Counted(incumbent=arms[0], candidate=arms[1])):
                passed += 1
                break
    assert passed <= 3  # of 40 at 1 %: more than three are less likely than 1 in 1,000


def test_a_certificates_verdict_follows_from_its_counts() -> None:
    step = Step.judged(paired=False)
    good = step.certificate
    lost = Counted(incumbent=FINE, candidate=ArmCounted(asked=10_000, lost=5000))
    honest = Certificate.seal(good.plan, FIRST, good.looks, lost)
    assert (honest.verdict, honest.looks[-1].verdict) == (Verdict.UNKNOWN, Verdict.GOOD)
    assert isinstance(recompute(honest, step.entries), Verified)
    lie = honest.model_copy(update={"verdict": Verdict.GOOD, "reason": good.reason})
    lie = lie.model_copy(update={"hash": lie.content_hash()})
    found = recompute(lie, step.entries)
    assert isinstance(found, Refuted)
    assert "5000 of 10000 rows of the candidate got no answer" in found.sentence
    fine = Certificate.seal(good.plan, FIRST, good.looks, Counted(incumbent=FINE, candidate=FINE))
    assert fine.verdict is Verdict.GOOD
    assert isinstance(recompute(fine, step.entries), Verified)
