"""Builds the DAG that serve_config.yaml runs: gateway, features, the families, safety."""

from typing import Any

from ray.serve import Application

from config_store.settings import Settings
from deployments.anomaly import Anomaly
from deployments.features import Features
from deployments.forecasting import Forecasting
from deployments.gateway.deployment import Gateway
from deployments.keyed.stage import KeyedStage
from deployments.optimization import Optimization
from deployments.safety import Safety
from deployments.tail import Tail
from deployments.transport.serve_handle import BY_SESSION


def build() -> Application:
    # Serve's decorator makes deployments of these classes, which their types do not show.
    gateway: Any = Gateway
    features: Any = Features
    safety: Any = Safety
    families: dict[str, Any] = {
        "tail": Tail,
        "forecasting": Forecasting,
        "anomaly": Anomaly,
        "optimization": Optimization,
    }
    if Settings().plain:
        families = {name: _keyed_by_serve(family) for name, family in families.items()}
    models = {name: family.bind() for name, family in families.items()}
    return gateway.bind(features.bind(), safety.bind(), **models)


def _keyed_by_serve(family: Any) -> Any:
    """Have Serve keep a key on one replica, where the replicas hold state by key."""
    if not issubclass(family.func_or_class, KeyedStage):
        return family
    return family.options(request_router_config=BY_SESSION)


app = build()
