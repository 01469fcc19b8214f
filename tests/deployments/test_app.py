from typing import Any

import pytest

from deployments.app import build


def routers(application: Any) -> dict[str, str]:
    """Give the class that chooses a replica for each family's calls."""
    bound = application._bound_deployment.init_kwargs
    return {
        name: each._bound_deployment._deployment_config.request_router_config.request_router_class
        for name, each in bound.items()
    }


@pytest.mark.parametrize(
    ("profile", "by_session"), [("fast", set()), ("plain", {"anomaly", "optimization"})]
)
def test_in_plain_serve_keeps_the_keys_of_stateful_families_on_one_replica(
    profile: str, by_session: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BALLAST_PROFILE", profile)
    found = routers(build())
    assert len(found) == 4
    assert {name for name, router in found.items() if "ConsistentHash" in router} == by_session
