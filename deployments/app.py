"""Builds the DAG that serve_config.yaml runs: gateway, features, the families, safety."""

from typing import Any

from ray.serve import Application

from deployments.anomaly import Anomaly
from deployments.features import Features
from deployments.forecasting import Forecasting
from deployments.gateway.deployment import Gateway
from deployments.optimization import Optimization
from deployments.safety import Safety
from deployments.tail import Tail


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
    models = {name: family.bind() for name, family in families.items()}
    return gateway.bind(features.bind(), safety.bind(), **models)


app = build()
