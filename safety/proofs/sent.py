"""Checks a policy that was sent to this process as JSON: replicas never import the prover."""

import resource
from collections.abc import Mapping
from typing import Any

from safety.policy import SafetyPolicy
from safety.proofs.check import check_policy
from safety.proofs.fields import ColumnsKnown

# The shipped policies take a tenth of it; most of that is what Python and the prover import.
MEMORY_BYTES = 4 * 1024**3


def checked(
    policy: object,
    known: Mapping[str, object],
    active: object | None = None,
    *,
    only_changed: bool = False,
) -> dict[str, Any]:
    """Check it; gives the report as JSON.

    The process is the check's alone, and takes no more memory than that: what answers requests is
    on the same machine.
    """
    resource.setrlimit(resource.RLIMIT_AS, (_most_bytes(), _most_bytes()))
    report = check_policy(
        policy,
        {name: ColumnsKnown.model_validate(columns) for name, columns in known.items()},
        None if active is None else SafetyPolicy.model_validate(active),
        only_changed=only_changed,
    )
    return report.model_dump(mode="json")


def _most_bytes() -> int:
    """Give the limit, or the one that holds already where that is lower."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    return MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, MEMORY_BYTES)
