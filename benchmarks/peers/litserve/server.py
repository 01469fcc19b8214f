"""LitServe with the quantile booster: JSON in, one predict, JSON out.

Arguments: port, batch size (1: no batching), workers. `fast_queue` is what its documentation
recommends above 100 requests a second.
"""

import os
import sys
from pathlib import Path
from typing import Any

import litserve as ls
import numpy as np
import xgboost as xgb

FEATURES = ("load", "infra", "error_rate", "rate_ratio")
BATCH_WAIT_SECONDS = 0.001


class Quantiles(ls.LitAPI):
    def setup(self, device: str) -> None:
        del device
        self.booster = xgb.Booster(model_file=Path(os.environ["BENCH_MODEL"]))
        self.booster.set_param({"nthread": 1})

    def decode_request(self, request: dict[str, float]) -> list[float]:
        return [request[name] for name in FEATURES]

    def predict(self, x: list[float]) -> Any:
        return self.booster.inplace_predict(np.array([x], dtype=np.float32))[0]

    def encode_response(self, output: Any) -> dict[str, list[float]]:
        return {"quantiles": output.tolist()}


class BatchedQuantiles(Quantiles):
    def batch(self, inputs: list[list[float]]) -> Any:
        return np.array(inputs, dtype=np.float32)

    def predict(self, x: Any) -> Any:
        return self.booster.inplace_predict(x)

    def unbatch(self, output: Any) -> list[Any]:
        return list(output)


def main(port: int, batch: int, workers: int) -> None:
    if batch > 1:
        api = BatchedQuantiles(max_batch_size=batch, batch_timeout=BATCH_WAIT_SECONDS)
    else:
        api = Quantiles()
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=workers, fast_queue=True)
    server.run(host="127.0.0.1", port=port, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
