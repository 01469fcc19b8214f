"""The policy of a fresh machine: every family that the platform ships with."""

from safety.bandits import bandit_policy, evaluation_policy, feedback_policy
from safety.capacity import capacity_policy
from safety.extremes import extremes_policy
from safety.forecast import forecast_policy
from safety.policy import SafetyPolicy
from safety.streams import anomaly_policy, regime_policy
from safety.studies import study_policy
from safety.tail import tail_policy


def default_policy() -> SafetyPolicy:
    return SafetyPolicy(
        families={
            "tail": tail_policy(),
            "extremes": extremes_policy(),
            "forecast": forecast_policy(),
            "capacity": capacity_policy(),
            "regime": regime_policy(),
            "anomaly": anomaly_policy(),
            "bandit": bandit_policy(),
            "bandit-feedback": feedback_policy(),
            "bandit-evaluate": evaluation_policy(),
            "bayes-opt": study_policy(),
            "bayes-opt-tell": study_policy(),
        }
    )
