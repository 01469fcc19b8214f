"""The networks as pytorch-forecasting builds them, from a data set and a plan of their size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.forecasting.neural.libraries import Libraries, quiet
from models.forecasting.neural.tft import QUANTILES
from models.forecasting.neural.tft_inputs import LAGGED, VALUE, Layout

ENCODER = ("day_sin", "day_cos")
"""What the encoder reads beside the values. Each variable costs time, and the rest of what is known
tells the coming hours; of the past ones, the values tell it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a network is and how long it is trained."""

    width: int
    steps: int
    batch: int
    windows: int
    """How many are drawn to make batches of."""
    rate: float
    """Of learning, at its highest."""
    seconds_a_step: float
    """On a slow core; a limit cuts steps by it."""

    def within(self, seconds: float) -> int:
        """Count the steps that fit, at least one."""
        return max(min(self.steps, int(seconds / self.seconds_a_step)), 1)


TFT_PLAN = Plan(16, steps=240, batch=64, windows=3_000, rate=0.01, seconds_a_step=0.15)
NBEATS_PLAN = Plan(256, steps=800, batch=128, windows=8_000, rate=0.001, seconds_a_step=0.03)


def nbeats_network(libraries: Libraries, data: Any, plan: Plan) -> Any:
    with quiet():
        return libraries.nbeats.from_dataset(
            data,
            stack_types=["generic"],
            num_blocks=[3],
            num_block_layers=[3],
            widths=[plan.width],
            sharing=[False],
            expansion_coefficient_lengths=[32],
            dropout=0.0,
            weight_decay=0.0,
            loss=libraries.absolute_loss(),
            **_common(libraries, plan),
        )


def tft_network(libraries: Libraries, data: Any, plan: Plan) -> Any:
    with quiet():
        return libraries.tft.from_dataset(
            data,
            hidden_size=plan.width,
            attention_head_size=2,
            hidden_continuous_size=plan.width // 2,
            dropout=0.05,
            loss=libraries.quantile_loss(list(QUANTILES)),
            allowed_encoder_known_variable_names=list(ENCODER),
            **_common(libraries, plan),
        )


def layout_of(network: Any, data: Any, known: Sequence[str]) -> Layout:
    """Read off the network which variables it takes, and off its data set how they were scaled."""
    return Layout(
        known=tuple(known),
        static=tuple(network.static_variables),
        encoder=tuple(network.encoder_variables),
        decoder=tuple(network.decoder_variables),
        scalers={name: _scaler(data, name) for name in data.reals if name not in (VALUE, *LAGGED)},
    )


def _scaler(data: Any, name: str) -> tuple[float, float]:
    scaler = data.get_transformer(name)
    return float(scaler.mean_[0]), float(scaler.scale_[0])


def _common(libraries: Libraries, plan: Plan) -> dict[str, Any]:
    return {
        "logging_metrics": libraries.torch.nn.ModuleList([]),
        "learning_rate": plan.rate,
        "optimizer": "adam",
    }
