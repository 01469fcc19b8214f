"""MLServer with the quantile booster: a V2 request in, one predict, a V2 answer out."""

import os
from pathlib import Path

import xgboost as xgb
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Quantiles(MLModel):
    async def load(self) -> bool:
        self.booster = xgb.Booster(model_file=Path(os.environ["BENCH_MODEL"]))
        self.booster.set_param({"nthread": 1})
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        quantiles = self.booster.inplace_predict(rows)
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            outputs=[NumpyCodec.encode_output("quantiles", quantiles)],
        )
