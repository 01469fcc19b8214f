"""Judges a policy on a frozen experiment, for the process beside the replica."""

from dataclasses import asdict
from typing import Any

from deployments.api.bandit_evaluation import JUDGED_LEVEL
from models.optimization.bandits.hindsight import judge_policy
from models.optimization.bandits.snapshot import decode
from models.optimization.evaluation.evaluate import Evaluation


def evaluated(frozen: bytes, policy: str) -> dict[str, Any]:
    """Value the policy and the baseline, and say whether to promote it; a refusal is an answer."""
    experiment = decode(frozen)
    judged = judge_policy(experiment, policy, JUDGED_LEVEL)
    found = _describe(judged.candidate)
    return {
        "policy": policy,
        **found,
        "promotion": {
            "promote": judged.promote,
            "reason": judged.reason,
            "gain_lower_bound": judged.gain,
            "incumbent": {"policy": experiment.baseline, **_describe(judged.incumbent)},
        },
    }


def _describe(evaluation: Evaluation) -> dict[str, Any]:
    names = ("ipw", "snipw", "dm", "dr")
    estimates = {name: evaluation.estimates.get(name) for name in names}
    overlap = evaluation.overlap
    return {
        "estimates": {name: each and asdict(each) for name, each in estimates.items()},
        "refusal": evaluation.refusal,
        "diagnostics": {
            "decisions": overlap.decisions,
            "usable": overlap.usable,
            "effective_sample_size": overlap.effective,
            "largest_weight": overlap.largest_weight,
            "largest_share": overlap.largest_share,
            "mean_weight": overlap.mean_weight,
        },
    }
