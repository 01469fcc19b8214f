"""From the weights as pytorch-forecasting names them to the blocks as the kernel reads them."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.forecasting.neural.nbeats_kernel import Blocks
from models.protocols import FloatArray

Weights = Mapping[str, FloatArray]


def blocks_of(weights: Weights) -> Blocks:
    """Stack the blocks in their order; KeyError if there is none, or a part is absent."""
    count = 1 + max(int(key.split(".")[1]) for key in ["net_blocks.-1", *weights])
    if count == 0:
        raise KeyError("net_blocks")
    parts = [_block(weights, f"net_blocks.{place}") for place in range(count)]
    return Blocks(*(np.stack(part) for part in zip(*parts, strict=True)))


def _block(weights: Weights, name: str) -> Sequence[FloatArray]:
    layers = sorted(
        (key.removesuffix(".weight") for key in weights if _is_layer(key, name)),
        key=lambda key: int(key.split(".")[3]),
    )
    return (
        weights[f"{layers[0]}.weight"].T,
        weights[f"{layers[0]}.bias"],
        np.stack([weights[f"{layer}.weight"].T for layer in layers[1:]]),
        np.stack([weights[f"{layer}.bias"] for layer in layers[1:]]),
        weights[f"{name}.theta_b_fc.weight"].T,
        weights[f"{name}.backcast_fc.weight"].T,
        weights[f"{name}.backcast_fc.bias"],
        weights[f"{name}.forecast_fc.weight"].T,
        weights[f"{name}.forecast_fc.bias"],
    )


def _is_layer(key: str, name: str) -> bool:
    return key.startswith(f"{name}.fc.") and key.endswith(".weight")
