"""Paths whose routes read their bodies themselves, since they are large or no JSON.

A route of these takes the key first, and bounds what it reads.
"""

from starlette.types import Scope

from access.endpoints import V1

ROUTES = frozenset(
    {
        ("POST", "/telemetry"),
        ("POST", "/telemetry/logs"),
        ("POST", "/write"),
        ("POST", "/features/vectors"),
        ("POST", "/features/datasets"),
        ("PUT", "/config"),
        ("POST", "/config/versions"),
        ("PUT", "/safety/policy"),
        ("POST", "/safety/policy/check"),
    }
)


def reads_its_own(scope: Scope) -> bool:
    """Tell whether this HTTP request is for such a route."""
    path: str = scope["path"]
    return (scope["method"], path.removeprefix(V1)) in ROUTES
