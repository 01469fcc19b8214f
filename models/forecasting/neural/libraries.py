"""PyTorch, Lightning and pytorch-forecasting, imported only to train: that takes ten seconds."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Libraries:
    """What of them is used."""

    torch: Any
    trainer: Any
    callback: Any
    data_set: Any
    group_normalizer: Any
    encoder_normalizer: Any
    quantile_loss: Any
    absolute_loss: Any
    tft: Any
    nbeats: Any

    def curve(self) -> dict[str, Any]:
        """Give the transformation of N-BEATS's values."""
        return {"forward": self.torch.asinh, "reverse": self.torch.sinh}


def libraries() -> Libraries:
    with quiet():
        import lightning.pytorch as lightning  # noqa: PLC0415
        import pytorch_forecasting as forecasting  # noqa: PLC0415
        import torch  # noqa: PLC0415
        from pytorch_forecasting.data import EncoderNormalizer, GroupNormalizer  # noqa: PLC0415
        from pytorch_forecasting.metrics import MAE, QuantileLoss  # noqa: PLC0415
    return Libraries(
        torch=torch,
        trainer=lightning.Trainer,
        callback=lightning.Callback,
        data_set=forecasting.TimeSeriesDataSet,
        group_normalizer=GroupNormalizer,
        encoder_normalizer=EncoderNormalizer,
        quantile_loss=QuantileLoss,
        absolute_loss=MAE,
        tft=forecasting.TemporalFusionTransformer,
        nbeats=forecasting.NBeats,
    )


_SAID = (
    r"Attribute '(loss|logging_metrics)' is an instance of `nn.Module`",
    r"You defined a `validation_step` but have no `val_dataloader`",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    r"ReduceLROnPlateau conditioned on metric val_loss which is not available",
)
"""Warnings of these libraries about themselves, or about what was left out on purpose: there is no
validation, and the rate of learning is set step by step."""

_LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what they say of themselves at every import and training, and nothing else."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    with warnings.catch_warnings():
        for message in _SAID:
            warnings.filterwarnings("ignore", message)
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
