"""From the weights as pytorch-forecasting names them to the one array that the kernel reads.

A variable is one number an hour. Its prescaler, and the linear layer and the stretching that follow
it, are linear in that number, so they become one layer.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from models.forecasting.neural.tft_kernel import Network
from models.protocols import FloatArray

Weights = Mapping[str, FloatArray]
Parts = list[FloatArray]
Linear = tuple[FloatArray, FloatArray]
"""A matrix (in, out) and its biases."""


def network_of(
    weights: Weights, static: Sequence[str], encoder: Sequence[str], decoder: Sequence[str]
) -> Network:
    """Lay out the weights; the names are its variables', in order. KeyError if one is absent."""
    heads = sum(key.startswith("multihead_attn.q_layers.") for key in weights) // 2
    parts = [
        *_selection(weights, "static_variable_selection", static),
        *chain.from_iterable(_residual(weights, f"static_context_{use}") for use in _CONTEXTS),
        *_with_context(weights, "encoder_variable_selection.flattened_grn"),
        *_selection(weights, "encoder_variable_selection", encoder),
        *_with_context(weights, "decoder_variable_selection.flattened_grn"),
        *_selection(weights, "decoder_variable_selection", decoder),
        *_recurrence(weights, "lstm_encoder"),
        *_recurrence(weights, "lstm_decoder"),
        *_layer(_linear(weights, "post_lstm_gate_encoder.fc")),
        *_norm(weights, "post_lstm_add_norm_encoder.norm"),
        *_with_context(weights, "static_enrichment"),
        *_residual(weights, "static_enrichment"),
        *_attention(weights, "multihead_attn", heads),
        *_gate(weights, "post_attn_gate_norm"),
        *_residual(weights, "pos_wise_ff"),
        *_gate(weights, "pre_output_gate_norm"),
        *_layer(_linear(weights, "output_layer")),
    ]
    quantiles, hidden = weights["output_layer.weight"].shape
    inner = weights[f"prescalers.{static[0]}.bias"].size
    flat = np.concatenate([part.ravel() for part in parts])
    return Network(flat, hidden, inner, heads, quantiles)


_CONTEXTS = ("variable_selection", "initial_hidden_lstm", "initial_cell_lstm", "enrichment")


def _layer(linear: Linear) -> Parts:
    matrix, bias = linear
    return [bias, matrix]


def _linear(weights: Weights, name: str) -> Linear:
    matrix = weights[f"{name}.weight"].T
    return matrix, weights.get(f"{name}.bias", np.zeros(matrix.shape[1]))


def _norm(weights: Weights, name: str) -> Parts:
    return [weights[f"{name}.weight"], weights[f"{name}.bias"]]


def _gate(weights: Weights, name: str) -> Parts:
    return [
        *_layer(_linear(weights, f"{name}.glu.fc")),
        *_norm(weights, f"{name}.add_norm.norm"),
    ]


def _residual(weights: Weights, name: str, before: Linear | None = None) -> Parts:
    """Lay out a residual network; `before` is a layer to fold into its first."""
    first = _linear(weights, f"{name}.fc1")
    return [
        *_layer(_after(before, first) if before else first),
        *_layer(_linear(weights, f"{name}.fc2")),
        *_gate(weights, f"{name}.gate_norm"),
    ]


def _with_context(weights: Weights, name: str) -> Parts:
    return _layer(_linear(weights, f"{name}.context"))


def _recurrence(weights: Weights, name: str) -> Parts:
    """Lay out an LSTM, its gates in PyTorch's order: in, forget, cell, out."""
    return [
        weights[f"{name}.bias_ih_l0"],
        weights[f"{name}.weight_ih_l0"].T,
        weights[f"{name}.bias_hh_l0"],
        weights[f"{name}.weight_hh_l0"].T,
    ]


def _attention(weights: Weights, name: str, heads: int) -> Parts:
    parts = _layer(_linear(weights, f"{name}.v_layer"))
    for head in range(heads):
        parts += _layer(_linear(weights, f"{name}.k_layers.{head}"))
        parts += _layer(_linear(weights, f"{name}.q_layers.{head}"))
    return parts + _layer(_linear(weights, f"{name}.w_h"))


def _selection(weights: Weights, name: str, variables: Sequence[str]) -> Parts:
    """Lay out the network that weighs the variables, then that of each."""
    prescalers = [_linear(weights, f"prescalers.{variable}") for variable in variables]
    parts = _stretched(weights, f"{name}.flattened_grn", _side_by_side(prescalers))
    for variable, prescaler in zip(variables, prescalers, strict=True):
        parts += _stretched(weights, f"{name}.single_variable_grns.{variable}", prescaler)
    return parts


def _stretched(weights: Weights, name: str, before: Linear) -> Parts:
    """Lay out a residual network whose skip is stretched, each place then opened by a mask."""
    mask = weights[f"{name}.resample_norm.mask"]
    opened = _stretch(before[1].size, mask.size) * (2 / (1 + np.exp(-mask)))
    return [
        *_layer(_after(before, (opened, np.zeros(mask.size)))),
        *_norm(weights, f"{name}.resample_norm.norm"),
        *_residual(weights, name, before),
    ]


def _after(first: Linear, second: Linear) -> Linear:
    return first[0] @ second[0], first[1] @ second[0] + second[1]


def _side_by_side(layers: Sequence[Linear]) -> Linear:
    """Join layers of one number each into a layer of them all."""
    size = layers[0][1].size
    matrix = np.zeros((len(layers), size * len(layers)))
    for place, (row, _) in enumerate(layers):
        matrix[place, place * size : (place + 1) * size] = row[0]
    return matrix, np.concatenate([bias for _, bias in layers])


def _stretch(size: int, width: int) -> FloatArray:
    """Give the matrix (size, width) that stretches a vector linearly, ends on ends."""
    places = np.linspace(0, size - 1, width)
    lower = np.minimum(places.astype(int), max(size - 2, 0))
    matrix = np.zeros((size, width))
    matrix[lower, np.arange(width)] = 1 - (places - lower)
    matrix[np.minimum(lower + 1, size - 1), np.arange(width)] += places - lower
    return matrix
