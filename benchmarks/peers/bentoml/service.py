"""BentoML with the quantile booster: JSON in, one predict, JSON out."""

import os
from pathlib import Path

import bentoml
import numpy as np
import xgboost as xgb

WORKERS = int(os.environ["BENCH_WORKERS"])
BATCHED = os.environ["BENCH_BATCHED"] == "1"


@bentoml.service(workers=WORKERS, logging={"access": {"enabled": False}})
class Tail:
    def __init__(self) -> None:
        self.booster = xgb.Booster(model_file=Path(os.environ["BENCH_MODEL"]))
        self.booster.set_param({"nthread": 1})

    if BATCHED:

        @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
        async def predict(self, rows: np.ndarray) -> np.ndarray:
            return self.booster.inplace_predict(rows.astype(np.float32))

    else:

        @bentoml.api
        async def predict(
            self, load: float, infra: float, error_rate: float, rate_ratio: float
        ) -> dict[str, list[float]]:
            row = np.array([[load, infra, error_rate, rate_ratio]], dtype=np.float32)
            return {"quantiles": self.booster.inplace_predict(row)[0].tolist()}
