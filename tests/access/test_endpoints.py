import re

import pytest

from access.endpoints import ENDPOINTS, needed_role
from access.keys import Role


@pytest.mark.parametrize(
    ("method", "route", "role"),
    [
        ("GET", "/health", None),
        ("POST", "/health", Role.ADMIN),
        ("GET", "/", Role.VIEWER),
        ("GET", "/ready", Role.VIEWER),
        ("GET", "/metrics", Role.VIEWER),
        ("GET", "/decisions/{id}", Role.VIEWER),
        ("GET", "/config/active", Role.VIEWER),
        ("POST", "/models/tail-slo", Role.CLIENT),
        ("post", "/models/tail-slo", Role.CLIENT),
        ("DELETE", "/streams/{id:path}", Role.CLIENT),
        ("PUT", "/experiments/{id:path}/arms/{arm}", Role.OPERATOR),
    ],
)
def test_the_role_of_an_endpoint(method: str, route: str, role: Role | None) -> None:
    assert needed_role(method, route) is role
    assert needed_role(method, f"/api/v1{route}") is role


@pytest.mark.parametrize("route", ["/keys", "/models/tail-slo/", "/api/v2/metrics", "/healthz"])
def test_what_nobody_listed_is_closed(route: str) -> None:
    assert needed_role("GET", route) is Role.ADMIN


def test_a_viewer_can_change_nothing() -> None:
    open_to_viewers = {endpoint for endpoint, role in ENDPOINTS.items() if role is Role.VIEWER}
    # This one reads: its list of entities would be too long for a URL.
    changing = open_to_viewers - {("POST", "/features/vectors")}
    assert {method for method, _ in changing} == {"GET"}


def test_endpoints_are_well_formed() -> None:
    for method, route in ENDPOINTS:
        assert method in {"GET", "POST", "PUT", "DELETE"}
        assert re.fullmatch(r"/|(/([a-z_.-]+|\{[a-z]+\}))+", route), route
