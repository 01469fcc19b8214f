"""The forward pass of N-BEATS, one series after the other.

Oreshkin, Carpov, Chapados and Bengio 2020, generic blocks as pytorch-forecasting builds them: each
sees what those before it left unexplained, and adds its part of the forecast. Weights lie as (in,
out).
"""

from typing import Any, NamedTuple

import numpy as np

from models.compiled import compiled
from models.protocols import FloatArray


class Blocks(NamedTuple):
    """The weights of all blocks, stacked along the first axis."""

    first: FloatArray
    """(blocks, past hours, width)"""
    first_bias: FloatArray
    layers: FloatArray
    """(blocks, layers after the first, width, width)"""
    layers_bias: FloatArray
    expansion: FloatArray
    """(blocks, width, coefficients); without a bias, and one for past and future."""
    backcast: FloatArray
    """(blocks, coefficients, past hours)"""
    backcast_bias: FloatArray
    forecast: FloatArray
    """(blocks, coefficients, hours ahead)"""
    forecast_bias: FloatArray


def forward(blocks: Blocks, past: FloatArray) -> FloatArray:
    """Forecast scaled rows (rows, past hours) in the same units (rows, hours ahead)."""
    out = np.zeros((past.shape[0], blocks.forecast_bias.shape[1]))
    _rows(blocks, past, out)
    return out


@compiled
def _affine(x: Any, weight: Any, bias: Any, out: Any) -> None:
    for j in range(out.size):
        out[j] = bias[j]
    for i in range(x.size):
        xi = x[i]
        if xi != 0.0:
            for j in range(out.size):
                out[j] += xi * weight[i, j]


@compiled
def _rectify(x: Any) -> None:
    for i in range(x.size):
        x[i] = max(x[i], 0.0)


@compiled
def _block(blocks: Blocks, b: int, left: Any, forecast: Any) -> None:
    """Take from `left` what this block explains, and add its part to `forecast`."""
    width, coefficients = blocks.first_bias.shape[1], blocks.expansion.shape[2]
    hidden, spare = np.empty(width), np.empty(width)
    theta, none = np.empty(coefficients), np.zeros(coefficients)
    explained, part = np.empty(left.size), np.empty(forecast.size)
    _affine(left, blocks.first[b], blocks.first_bias[b], hidden)
    _rectify(hidden)
    for layer in range(blocks.layers.shape[1]):
        _affine(hidden, blocks.layers[b, layer], blocks.layers_bias[b, layer], spare)
        _rectify(spare)
        hidden[:] = spare
    _affine(hidden, blocks.expansion[b], none, theta)
    _rectify(theta)
    _affine(theta, blocks.backcast[b], blocks.backcast_bias[b], explained)
    _affine(theta, blocks.forecast[b], blocks.forecast_bias[b], part)
    for i in range(left.size):
        left[i] -= explained[i]
    for i in range(forecast.size):
        forecast[i] += part[i]


@compiled
def _rows(blocks: Blocks, past: Any, out: Any) -> None:
    for row in range(past.shape[0]):
        left = past[row].copy()
        for b in range(blocks.first.shape[0]):
            _block(blocks, b, left, out[row])
