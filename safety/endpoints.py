"""Which role each endpoint needs, as data; what is not listed needs an admin."""

from safety.access import Role

V1 = "/api/v1"

# The one path without a key: a load balancer asks it before it trusts anything.
OPEN = frozenset({("GET", "/health")})

# Turning emergency mode on is an operator's reflex; turning it off is a decision.
EMERGENCY_ON = Role.OPERATOR
EMERGENCY_OFF = Role.ADMIN

# Marks a part of a route that may hold slashes; who describes the route leaves it out.
_ANY = ":path"

_BY_ROLE: dict[Role, tuple[str, ...]] = {
    Role.VIEWER: (
        "GET /",
        "GET /ready",
        "GET /status",
        "GET /docs",
        "GET /redoc",
        "GET /openapi.json",
        "GET /models/list",
        "GET /models",
        "GET /model/{version}",
        "GET /models/{name}/versions",
        "GET /models/{name}/importance",
        "GET /safety/status",
        "GET /safety/violations",
        "GET /safety/policy",
        "POST /safety/policy/check",
        "GET /safety/overrides",
        "GET /config/active",
        "GET /config",
        "GET /config/versions",
        "GET /config/versions/{v}",
        "GET /config/diff",
        "GET /config/rollout",
        "GET /config/drift",
        "GET /config/rollout/{id}/certificate",
        "GET /metrics",
        "GET /metrics/prometheus",
        "GET /metrics/decisions",
        "GET /decisions/{id}",
        "GET /ledger/proof/{id}",
        "GET /alerts",
        "GET /drift",
        "GET /streams",
        "GET /streams/{id:path}",
        "GET /streams/{id:path}/events",
        "GET /experiments",
        "GET /experiments/{id:path}",
        "GET /studies",
        "GET /studies/{id:path}",
    ),
    Role.CLIENT: (
        "POST /models/capacity-planning",
        "POST /models/tail-slo",
        "POST /models/extreme-events",
        "POST /models/{family}/outcome",
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
        "GET /predict",
        "POST /predict",
        "POST /batch_predict",
        "GET /features",
        "POST /jobs",
        "GET /jobs/{id}",
        "DELETE /jobs/{id}",
        "POST /explain",
        "POST /decisions/{id}/replay",
    ),
    Role.OPERATOR: (
        "PUT /experiments/{id:path}/arms/{arm}",
        "DELETE /experiments/{id:path}/arms/{arm}",
        "PUT /experiments/{id:path}/baseline/{arm}",
        "POST /models/register",
        "DELETE /models/{name}/{version}",
        "POST /models/{name}/promote",
        "POST /models/{name}/rollback",
        "POST /safety/emergency-mode",
        "PUT /safety/policy",
        "PUT /config",
        "POST /config/versions",
        "POST /config/versions/{v}/validate",
        "POST /config/deploy",
        "POST /config/rollout/abort",
        "POST /config/rollback",
        "PUT /alerts/rules",
        "POST /alerts/{id}/ack",
    ),
    Role.APPROVER: ("POST /config/versions/{v}/approve",),
    Role.ADMIN: (
        "POST /safety/override",
        "DELETE /safety/override/{id}",
        "POST /reset",
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
