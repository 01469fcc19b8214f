"""Checks a policy that was sent to this process as JSON: replicas never import the prover."""

from collections.abc import Mapping
from typing import Any

from safety.policy import SafetyPolicy
from safety.proofs.check import check_policy
from safety.proofs.columns_known import ColumnsKnown


def checked(
    policy: object, known: Mapping[str, object], active: object | None = None
) -> dict[str, Any]:
    """Check it; gives the report as JSON."""
    report = check_policy(
        policy,
        {name: ColumnsKnown.model_validate(columns) for name, columns in known.items()},
        None if active is None else SafetyPolicy.model_validate(active),
    )
    return report.model_dump(mode="json")
