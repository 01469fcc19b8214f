"""Trains one network of pytorch-forecasting with Lightning: so many steps, nothing left behind."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from models.forecasting.neural.libraries import Libraries, quiet
from models.forecasting.neural.windows import Windows
from models.protocols import FloatArray

Report = Callable[[float], None]
_WARM_UP = 0.1
_CLIP = 0.5
_REPORTS = 20


def fit(libraries: Libraries, network: Any, windows: Windows, report: Report) -> None:
    """Train in place; the rate of learning rises for a tenth of the steps, then falls to 0."""
    pace = _pace_class(libraries)(float(network.hparams.learning_rate), len(windows), report)
    with quiet():
        trainer = libraries.trainer(
            max_epochs=1,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            gradient_clip_val=_CLIP,
            callbacks=[pace],
        )
        trainer.fit(network, windows)
    network.eval()


def weights_of(network: Any) -> dict[str, FloatArray]:
    """Take the weights out of PyTorch; those that two parts share come once a name."""
    return {name: np.asarray(each) for name, each in network.state_dict().items()}


def rate_at(share: float) -> float:
    """Scale the rate of learning by how much of the training is done: up, then half a cosine."""
    if share < _WARM_UP:
        return share / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (share - _WARM_UP) / (1 - _WARM_UP)))


def _pace_class(libraries: Libraries) -> Any:
    base: Any = libraries.callback

    class Pace(base):  # type: ignore[misc]  # known only when imported
        """Sets each step's rate of learning, and says how far the training is."""

        def __init__(self, rate: float, steps: int, report: Report) -> None:
            self.rate, self.steps, self.report = rate, steps, report

        def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
            rate = self.rate * rate_at((trainer.global_step + 1) / self.steps)
            for optimizer in trainer.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step % max(self.steps // _REPORTS, 1) == 0:
                self.report(trainer.global_step / self.steps)

    return Pace
