"""Routes that read their bodies themselves, since these are large or no JSON.

Such a route takes the key first, and bounds what it reads. All other bodies are read before.
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


def is_read_by_its_route(scope: Scope) -> bool:
    """Tell whether this HTTP request is for such a route."""
    path: str = scope["path"]
    return (scope["method"], path.removeprefix(V1)) in ROUTES
