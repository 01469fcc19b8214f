"""The model that every server of the bench serves: an XGBoost booster of five quantiles."""

from pathlib import Path

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

LEVELS = (0.05, 0.5, 0.95, 0.99, 0.999)
FEATURE_NAMES = ("load", "infra", "error_rate", "rate_ratio")
ROUNDS = 40  # a tree a level each: 200 trees
ROWS = 8_000


def fallback_booster(directory: Path) -> Path:
    """Train the bench's own booster once; it stands in where no trained artifact is given."""
    path = directory / "model.ubj"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        features, latency_ms = _latencies(np.random.default_rng(7))
        _train(features, latency_ms).save_model(path)
    return path


def _latencies(
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Latencies that grow with load as a queue's do, with a tail that errors make heavier."""
    load, infra = rng.uniform(0.1, 0.98, ROWS), rng.uniform(0, 1, ROWS)
    error_rate, rate_ratio = rng.exponential(0.005, ROWS), rng.uniform(0.2, 3, ROWS)
    middle = 12 / (1.05 - load) * (1 + infra) * rate_ratio**0.2
    latency_ms = middle * rng.lognormal(0, 0.3 + 5 * error_rate)
    features = np.column_stack([load, infra, error_rate, rate_ratio]).astype(np.float32)
    return features, latency_ms


def _train(features: NDArray[np.float32], latency_ms: NDArray[np.float64]) -> xgb.Booster:
    settings = {
        "objective": "reg:quantileerror",
        "quantile_alpha": list(LEVELS),
        "tree_method": "hist",
        "max_depth": 6,
        "eta": 0.15,
        "nthread": 1,
        "seed": 7,
    }
    return xgb.train(settings, xgb.QuantileDMatrix(features, latency_ms), ROUNDS)


def predict(path: Path, row: list[float]) -> list[float]:
    booster = xgb.Booster(model_file=path)
    quantiles = booster.inplace_predict(np.array([row], dtype=np.float32))
    return [float(value) for value in quantiles[0]]
