"""The model that every server of the bench serves: an XGBoost booster of five quantiles.

They are quantiles of log(latency / the entity's usual latency), as in Ballast's own tail model.
"""

from pathlib import Path

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from benchmarks.speed.bodies import BASELINE_MS
from benchmarks.speed.servers import ServerError
from models.pointer import read_pointer
from models.tail.xgboost_quantile import TailModel

LEVELS = (0.05, 0.5, 0.95, 0.99, 0.999)
FEATURE_NAMES = ("load", "infra", "error_rate", "rate_ratio")
ROUNDS = 40  # a tree a level each: 200 trees
ROWS = 8_000


def booster_in(folder: Path) -> Path:
    found = sorted(folder.glob("*.ubj"))
    if len(found) != 1:
        raise ServerError(f"{folder} must hold one booster (*.ubj); it holds {len(found)}")
    return found[0]


def ballasts_booster(models: Path) -> Path | None:
    """Find the booster that Ballast serves; None where it has not trained one yet."""
    champion = read_pointer(models, TailModel.name, "champion")
    return None if champion is None else booster_in(champion.path)


def fallback_booster(directory: Path) -> Path:
    """Train the bench's own booster once; it stands in where no trained artifact is given."""
    path = directory / "model.ubj"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        features, log_ratio = _latencies(np.random.default_rng(7))
        _train(features, log_ratio).save_model(path)
    return path


def _latencies(
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Draw latencies that grow with load as a queue's do, as the log of their ratio to normal."""
    load, infra = rng.uniform(0.1, 0.98, ROWS), rng.uniform(0, 1, ROWS)
    error_rate, rate_ratio = rng.exponential(0.005, ROWS), rng.uniform(0.2, 3, ROWS)
    middle = 12 / (1.05 - load) * (1 + infra) * rate_ratio**0.2
    log_ratio = np.log(middle / BASELINE_MS) + rng.normal(0, 0.3 + 5 * error_rate)
    features = np.column_stack([load, infra, error_rate, rate_ratio]).astype(np.float32)
    return features, log_ratio


def _train(features: NDArray[np.float32], log_ratio: NDArray[np.float64]) -> xgb.Booster:
    settings = {
        "objective": "reg:quantileerror",
        "quantile_alpha": list(LEVELS),
        "tree_method": "hist",
        "max_depth": 6,
        "eta": 0.15,
        "nthread": 1,
        "seed": 7,
    }
    return xgb.train(settings, xgb.QuantileDMatrix(features, log_ratio), ROUNDS)


def predict(path: Path, row: list[float]) -> list[float]:
    booster = xgb.Booster(model_file=path)
    quantiles = booster.inplace_predict(np.array([row], dtype=np.float32))
    return [float(value) for value in quantiles[0]]
