"""Paths whose routes read their bodies themselves, since they are large or no JSON.

A route of these takes the key first, and bounds what it reads.
"""

from starlette.types import Scope

from access.endpoints import V1

PATHS = frozenset(
    {
        "/telemetry",
        "/telemetry/logs",
        "/write",
        "/features/vectors",
        "/features/datasets",
        "/safety/policy/check",
    }
)


def reads_its_own(scope: Scope) -> bool:
    """Tell whether this HTTP request is for such a route."""
    path: str = scope["path"]
    return scope["method"] == "POST" and path.removeprefix(V1) in PATHS
