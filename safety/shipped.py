"""The policy of a fresh machine: every family that the platform ships with."""

from safety.bandits import bandit_policy, evaluation_policy, feedback_policy
from safety.capacity import capacity_policy
from safety.emergency import CriticalRule, EmergencyRules
from safety.extremes import extremes_policy
from safety.forecast import forecast_policy
from safety.policy import SafetyPolicy
from safety.streams import anomaly_policy, regime_policy
from safety.studies import study_policy
from safety.tail import tail_policy

# A model that is broken altogether gets there in a second or a minute, as the load is; the odd row
# without a number, which its fallback answers, does not in a day. That models do not answer is no
# rule from the start: a replica that dies and is started anew says nothing against them.
EMERGENCY = EmergencyRules(critical=CriticalRule(count=1000, seconds=60))


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
        },
        emergency=EMERGENCY,
    )
