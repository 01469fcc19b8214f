"""What all checks of policies here are given."""

from collections.abc import Callable

import pytest

from deployments.api.shipped import known_columns
from safety.proofs.check import check_policy
from safety.proofs.findings import Report

Check = Callable[[object], Report]


@pytest.fixture(scope="session")
def check() -> Check:
    """Check a policy against the columns of this release's families."""
    known = known_columns()
    return lambda written: check_policy(written, known)
