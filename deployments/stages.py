"""The stages around the gateway, by the names that serve_config.yaml gives them."""

from typing import Any

from deployments.anomaly.deployment import Anomaly
from deployments.features.deployment import Features
from deployments.forecasting.deployment import Forecasting
from deployments.optimization.deployment import Optimization
from deployments.runtime.stage import Stage
from deployments.safety.deployment import Safety
from deployments.tail.deployment import Tail

# What each holds of models and states its own families know.
MODELS: dict[str, type[Stage[Any]]] = {
    "tail": Tail,
    "forecasting": Forecasting,
    "anomaly": Anomaly,
    "optimization": Optimization,
}
STAGES: dict[str, type[Stage[Any]]] = {"features": Features, "safety": Safety, **MODELS}
