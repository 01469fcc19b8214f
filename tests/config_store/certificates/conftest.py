import pytest

from tests.config_store.certificates.step import Step


@pytest.fixture(scope="session", params=["canary", "shadow"])
def step(request: pytest.FixtureRequest) -> Step:
    """Give a step that was judged, as a canary and as a shadow: its entries and certificate."""
    return Step.judged(paired=request.param == "shadow")
