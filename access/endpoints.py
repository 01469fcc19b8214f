"""Which role each endpoint needs, as data: FastAPI's routes and the hot path both ask here.

An endpoint is listed when it is served, and not before; a test holds the list against the app.
"""

from access.keys import Role

V1 = "/api/v1"

# The one path without a key: a load balancer asks it before it trusts anything.
OPEN = frozenset({("GET", "/health")})

# What shows the contract in a browser, which can send no key in a header: no key on loopback, a
# sign-in elsewhere (deployments/gateway/routes/documentation.py).
PAGES = frozenset(
    {
        ("GET", "/docs"),
        ("GET", "/redoc"),
        ("GET", "/openapi.json"),
        ("GET", "/docs/assets/{name}"),
        ("POST", "/docs/sign-in"),
    }
)

# Marks a part of a route that may hold slashes; who describes the route leaves it out.
_ANY = ":path"

_BY_ROLE: dict[Role, tuple[str, ...]] = {
    Role.VIEWER: (
        "GET /",
        "GET /ready",
        "GET /status",
        "GET /safety/policy",
        "GET /safety/status",
        "GET /safety/violations",
        "GET /safety/overrides",
        "GET /config",
        "GET /config/active",
        "GET /config/versions",
        "GET /config/versions/{v}",
        "GET /config/versions/{v}/impact",
        "GET /config/diff",
        "GET /config/rollout",
        "GET /config/rollout/{id}/certificate",
        "GET /config/rollout/{id}/evidence",
        "GET /config/steering",
        "GET /config/settings",
        "GET /config/at",
        "GET /config/drift",
        "GET /metrics",
        "GET /metrics/prometheus",
        "GET /metrics/decisions",
        "GET /decisions/{id}",
        "GET /ledger/proof/{id}",
        "GET /ledger/audit",
        "GET /timeline",
        "GET /streams",
        "GET /streams/{id:path}",
        "GET /streams/{id:path}/events",
        "GET /experiments",
        "GET /experiments/{id:path}",
        "GET /studies",
        "GET /studies/{id:path}",
        "GET /sources",
        "GET /sources/{name}/backfill",
        "GET /entities",
        "GET /entities/{entity:path}",
        "GET /features/definitions",
        "GET /features/vector",
        "POST /features/vectors",
        "GET /features/importance",
        "GET /features/datasets",
        "GET /features/datasets/{id}",
        "GET /features/datasets/{id}/file",
    ),
    Role.CLIENT: (
        "POST /models/capacity-planning",
        "POST /models/tail-slo",
        "POST /models/extreme-events",
        "POST /models/forecast",
        "POST /models/tail-slo/outcome",
        "POST /models/tail/outcome",
        "POST /models/capacity-planning/outcome",
        "POST /models/capacity/outcome",
        "POST /models/regime-detection",
        "POST /models/anomaly",
        "POST /models/regime-detection/gate",
        "DELETE /streams/{id:path}",
        "DELETE /experiments/{id:path}",
        "DELETE /studies/{id:path}",
        "POST /models/bandit",
        "POST /models/bandit/feedback",
        "POST /models/bandit/evaluate",
        "POST /models/bayes-opt",
        "POST /models/bayes-opt/tell",
        "POST /features/datasets",
        "DELETE /features/datasets/{id}",
        "POST /telemetry",
        "POST /telemetry/logs",
        "POST /write",
    ),
    Role.OPERATOR: (
        "PUT /config",
        "POST /config/versions",
        "POST /config/versions/{v}/rebase",
        "POST /config/versions/{v}/validate",
        "POST /config/versions/{v}/withdraw",
        "POST /config/versions/{v}/impact",
        "DELETE /config/versions/{v}/impact",
        "POST /config/deploy",
        "POST /config/rollout/advance",
        "POST /config/rollout/abort",
        "POST /config/rollback",
        "PUT /config/lock",
        "DELETE /config/lock",
        "POST /config/repair",
        "POST /safety/emergency-mode",  # steering's own list of roles has an admin end it
        "POST /ledger/audit",
        "PUT /safety/policy",
        "POST /safety/policy/check",
        "POST /sources/{name}/check",
        "POST /sources/{name}/backfill",
        "DELETE /sources/{name}/backfill",
        "PUT /experiments/{id:path}/arms/{arm}",
        "DELETE /experiments/{id:path}/arms/{arm}",
        "PUT /experiments/{id:path}/baseline/{arm}",
    ),
    Role.APPROVER: ("POST /config/versions/{v}/approve",),
    Role.ADMIN: (
        "POST /config/freezes",
        "DELETE /config/freezes/{id}",
        "PUT /config/settings",
        "POST /safety/override",
        "DELETE /safety/override/{id}",
    ),
}

ENDPOINTS: dict[tuple[str, str], Role] = {
    (method, path.replace(_ANY, "")): role
    for role, endpoints in _BY_ROLE.items()
    for method, path in (endpoint.split(" ") for endpoint in endpoints)
}


def needed_role(method: str, route: str) -> Role | None:
    """Tell which role a route template needs; None for the open one.

    A route that nobody listed needs an admin: forgetting one must close it, not open it.
    """
    endpoint = (method.upper(), route.removeprefix(V1).replace(_ANY, "") or "/")
    return None if endpoint in OPEN else ENDPOINTS.get(endpoint, Role.ADMIN)
