"""The forward pass of a temporal fusion transformer, one series after the other.

Lim, Arik, Loeff and Pfister 2021, as pytorch-forecasting builds it: gated residual networks,
variable selection, an LSTM over past and coming hours, attention whose heads share their values.

The weights are one long array in the order in which they are first read (tft_weights.py lays it):
a part is given the place where its own begin, and gives back the place after them. Of a linear
layer first the biases, then the matrix (in, out).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.compiled import compiled
from models.protocols import FloatArray

_EPSILON = 1e-5
"""PyTorch's, in every layer norm."""


@dataclass(frozen=True, slots=True)
class Network:
    weights: FloatArray
    hidden: int
    inner: int
    """Width of the networks of single variables."""
    heads: int
    quantiles: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """Rows of scaled variables, in the order of the network."""

    static: FloatArray
    """(rows, variables)"""
    encoder: FloatArray
    """(rows, past hours, variables)"""
    decoder: FloatArray
    """(rows, hours ahead, variables)"""


@dataclass(frozen=True, slots=True)
class Outputs:
    quantiles: FloatArray
    """(rows, hours ahead, quantiles), scaled."""
    attention: FloatArray
    """(rows, hours ahead, past hours), the mean of the heads."""
    static: FloatArray
    """(rows, variables): how much each counted."""
    encoder: FloatArray
    """(rows, variables), the mean over the hours."""
    decoder: FloatArray


def forward(network: Network, inputs: Inputs) -> Outputs:
    rows, past, variables = inputs.encoder.shape
    ahead = inputs.decoder.shape[1]
    outputs = Outputs(
        quantiles=np.empty((rows, ahead, network.quantiles)),
        attention=np.zeros((rows, ahead, past)),
        static=np.zeros(inputs.static.shape),
        encoder=np.zeros((rows, variables)),
        decoder=np.zeros((rows, inputs.decoder.shape[2])),
    )
    for row in range(rows):
        end = _row(
            network.weights,
            (network.hidden, network.inner, network.heads),
            (inputs.static[row], inputs.encoder[row], inputs.decoder[row]),
            (outputs.static[row], outputs.encoder[row], outputs.decoder[row]),
            outputs.attention[row],
            outputs.quantiles[row],
        )
        if end != network.weights.size:
            raise ValueError(f"{network.weights.size} weights, {end} were read")
    return outputs


@compiled
def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


@compiled
def _affine(x: Any, w: Any, at: int, out: Any) -> int:
    size: int = out.size
    for j in range(size):
        out[j] = w[at + j]
    for i in range(x.size):
        row = w[at + size * (i + 1) : at + size * (i + 2)]
        for j in range(size):
            out[j] += x[i] * row[j]
    end: int = at + size * (x.size + 1)
    return end


@compiled
def _normed(x: Any, w: Any, at: int) -> int:
    """Norm a layer, in place."""
    total = 0.0
    for i in range(x.size):
        total += x[i]
    mean = total / x.size
    square = 0.0
    for i in range(x.size):
        square += (x[i] - mean) ** 2
    factor = 1.0 / math.sqrt(square / x.size + _EPSILON)
    for i in range(x.size):
        x[i] = (x[i] - mean) * factor * w[at + i] + w[at + x.size + i]
    end: int = at + 2 * x.size
    return end


@compiled
def _gated(x: Any, skip: Any, w: Any, at: int, out: Any) -> int:
    """Let through what the gate opens for, add what skips it, and norm the sum."""
    width = out.size
    both = np.empty(2 * width)
    at = _affine(x, w, at, both)
    for i in range(width):
        out[i] = both[i] * _sigmoid(both[width + i]) + skip[i]
    return _normed(out, w, at)


@compiled
def _residual(x: Any, added: Any, skip: Any, w: Any, at: int, out: Any) -> int:
    """Run a gated residual network, as wide inside as what the context adds to its first layer."""
    first, second = np.empty(added.size), np.empty(added.size)
    at = _affine(x, w, at, first)
    for i in range(first.size):
        first[i] += added[i]
        if first[i] < 0.0:
            first[i] = math.expm1(first[i])
    at = _affine(first, w, at, second)
    return _gated(second, skip, w, at, out)


@compiled
def _stretched(x: Any, added: Any, w: Any, at: int, out: Any) -> int:
    """Run a residual network whose input is stretched to the width of its output to skip it."""
    skip = np.empty(out.size)
    at = _affine(x, w, at, skip)
    at = _normed(skip, w, at)
    return _residual(x, added, skip, w, at, out)


@compiled
def _softmax(x: Any, count: int) -> None:
    highest, total = x[0], 0.0
    for i in range(count):
        highest = max(highest, x[i])
    for i in range(count):
        x[i] = math.exp(x[i] - highest)
        total += x[i]
    for i in range(count):
        x[i] /= total


@compiled
def _select(x: Any, added: Any, inner: int, w: Any, at: int, weights: Any, out: Any) -> int:
    """Turn an hour's variables into one vector, each counting by its weight."""
    none, one = np.zeros(inner), np.empty(out.size)
    at = _stretched(x, added, w, at, weights)
    _softmax(weights, weights.size)
    out[:] = 0.0
    for v in range(x.size):
        at = _stretched(x[v : v + 1], none, w, at, one)
        for i in range(out.size):
            out[i] += weights[v] * one[i]
    return at


@compiled
def _embed(x: Any, context: Any, inner: int, w: Any, at: int, counted: Any, out: Any) -> int:
    """Select every hour's variables; `counted` is given the mean of their weights."""
    hours, variables = x.shape
    added, weights = np.empty(min(context.size, variables)), np.empty(variables)
    at = _affine(context, w, at, added)
    end = at
    for t in range(hours):
        end = _select(x[t], added, inner, w, at, weights, out[t])
        for v in range(variables):
            counted[v] += weights[v] / hours
    return end


@compiled
def _recur(x: Any, w: Any, at: int, hidden: Any, cell: Any, out: Any) -> int:
    """Take an LSTM over the hours; its state is carried on in `hidden` and `cell`."""
    width, end = hidden.size, at
    gates, recurrent = np.empty(4 * width), np.empty(4 * width)
    for t in range(x.shape[0]):
        end = _affine(x[t], w, at, gates)
        end = _affine(hidden, w, end, recurrent)
        for i in range(4 * width):
            gates[i] += recurrent[i]
        for i in range(width):
            new = math.tanh(gates[2 * width + i])
            kept = _sigmoid(gates[width + i]) * cell[i]
            cell[i] = kept + _sigmoid(gates[i]) * new
            hidden[i] = _sigmoid(gates[3 * width + i]) * math.tanh(cell[i])
            out[t, i] = hidden[i]
    return end


@compiled
def _look(query: Any, keys: Any, values: Any, seen: int, shares: Any, out: Any) -> None:
    """Let one head look at the first `seen` hours: `out` gains what it sees, `shares` is where."""
    for t in range(seen):
        score = 0.0
        for i in range(query.size):
            score += query[i] * keys[t, i]
        shares[t] = score / math.sqrt(query.size)
    _softmax(shares, seen)
    for t in range(seen):
        for i in range(query.size):
            out[i] += shares[t] * values[t, i]


@compiled
def _attend(x: Any, past: int, heads: int, w: Any, at: int, attention: Any, out: Any) -> int:
    """Let each hour ahead look at the past hours and at those ahead before it."""
    steps, hidden = x.shape
    width = hidden // heads
    values, keys = np.empty((steps, width)), np.empty((steps, width))
    query, shares, seen = np.empty(width), np.empty(steps), np.zeros((steps - past, width))
    end = at
    for t in range(steps):
        end = _affine(x[t], w, at, values[t])
    for _head in range(heads):
        at = end
        for t in range(steps):
            end = _affine(x[t], w, at, keys[t])
        at = end
        for ahead in range(steps - past):
            end = _affine(x[past + ahead], w, at, query)
            _look(query, keys, values, past + ahead, shares, seen[ahead])
            for t in range(past):
                attention[ahead, t] += shares[t] / heads
    at = end
    for ahead in range(steps - past):
        for i in range(width):
            seen[ahead, i] /= heads
        end = _affine(seen[ahead], w, at, out[ahead])
    return end


@compiled
def _row(
    w: Any, sizes: tuple[int, int, int], seen: Any, counted: Any, attention: Any, quantiles: Any
) -> int:
    """Forecast one series; gives back how many weights were read."""
    hidden, inner, heads = sizes
    static, encoder, decoder = seen
    past = encoder.shape[0]
    steps = past + decoder.shape[0]
    none, constant = np.zeros(hidden), np.empty(hidden)
    at = _select(static, np.zeros(min(hidden, static.size)), inner, w, 0, counted[0], constant)
    contexts = np.empty((4, hidden))
    for place in range(4):
        at = _residual(constant, none, constant, w, at, contexts[place])
    embedded, local = np.empty((steps, hidden)), np.empty((steps, hidden))
    at = _embed(encoder, contexts[0], inner, w, at, counted[1], embedded[:past])
    at = _embed(decoder, contexts[0], inner, w, at, counted[2], embedded[past:])
    at = _recur(embedded[:past], w, at, contexts[1], contexts[2], local[:past])
    at = _recur(embedded[past:], w, at, contexts[1], contexts[2], local[past:])
    passed, enriched = np.empty((steps, hidden)), np.empty((steps, hidden))
    added = np.empty(hidden)
    end = at
    for t in range(steps):
        end = _gated(local[t], embedded[t], w, at, passed[t])
    at = _affine(contexts[3], w, end, added)
    for t in range(steps):
        end = _residual(passed[t], added, passed[t], w, at, enriched[t])
    attended = np.empty((steps - past, hidden))
    at = _attend(enriched, past, heads, w, end, attention, attended)
    return _answer(passed[past:], enriched[past:], attended, w, at, quantiles)


@compiled
def _answer(passed: Any, enriched: Any, attended: Any, w: Any, at: int, quantiles: Any) -> int:
    """Turn what was attended to into quantiles, hour by hour."""
    hours, hidden = attended.shape
    one, two, none = np.empty(hidden), np.empty(hidden), np.zeros(hidden)
    end = at
    for t in range(hours):
        end = _gated(attended[t], enriched[t], w, at, one)
        end = _residual(one, none, one, w, end, two)
        end = _gated(two, passed[t], w, end, one)
        end = _affine(one, w, end, quantiles[t])
    return end
