"""The stages around the gateway, by the names that serve_config.yaml gives them."""

from typing import Any

from deployments.anomaly import Anomaly
from deployments.features import Features
from deployments.forecasting import Forecasting
from deployments.optimization import Optimization
from deployments.safety import Safety
from deployments.stage import Stage
from deployments.tail import Tail

# What each holds of models and states its own families know.
MODELS: dict[str, type[Stage[Any]]] = {
    "tail": Tail,
    "forecasting": Forecasting,
    "anomaly": Anomaly,
    "optimization": Optimization,
}
STAGES: dict[str, type[Stage[Any]]] = {"features": Features, "safety": Safety, **MODELS}
