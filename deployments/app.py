"""Builds the DAG that serve_config.yaml runs: gateway, features, the families, safety.

Only here are the stages made deployments of Serve: each by itself is a class that needs no Ray. The
build knows them by name, and each replica imports its own.
"""

from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import RequestRouterConfig

from deployments.gateway.deployment import Gateway
from deployments.stages import KEYED, MODELS, STAGES, StageReplica
from settings.environment import Settings

# For stages whose replicas hold state by key: the places of the plain transport are its sessions.
BY_SESSION = RequestRouterConfig(
    request_router_class="ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
)


def build() -> Application:
    plain = Settings().plain
    bound = {name: _deployed(name, plain=plain).bind(name) for name in STAGES}
    models = {name: bound[name] for name in MODELS}
    gateway: Any = serve.deployment(name="gateway")(serve.ingress()(Gateway))
    return gateway.bind(bound["features"], bound["safety"], **models)


def _deployed(name: str, *, plain: bool) -> Any:
    """Make a deployment; in plain Serve keeps a key on one replica where state lies by key."""
    deployment = serve.deployment(name=name)(StageReplica)
    if plain and name in KEYED:
        return deployment.options(request_router_config=BY_SESSION)
    return deployment


app = build()
