"""The policy of a fresh machine: every family that the platform ships with."""

from safety.policy import SafetyPolicy
from safety.streams import anomaly_policy, regime_policy
from safety.tail import tail_policy


def default_policy() -> SafetyPolicy:
    return SafetyPolicy(
        families={
            "tail": tail_policy(),
            "regime": regime_policy(),
            "anomaly": anomaly_policy(),
        }
    )
