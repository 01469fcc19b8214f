"""To a network's units and back: values less their mean, over their spread.

Curved, it is their inverse hyperbolic sine that is scaled so: a logarithm that takes zero and
negative values too, for a network that is to see ratios.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.compiled import compiled
from models.protocols import FloatArray


@dataclass(frozen=True, slots=True)
class Scaled:
    values: FloatArray
    centre: float
    spread: float
    curved: bool

    def back(self, values: FloatArray) -> FloatArray:
        """Bring values from these units to those of the series; beyond all bounds is infinite."""
        out = np.empty(values.size)
        _unscaled(values.ravel(), self.centre, self.spread, self.curved, out)
        return out.reshape(values.shape)

    def there(self, values: FloatArray) -> FloatArray:
        """Bring values of the series to these units."""
        out = np.empty(values.size)
        _rescaled(values.ravel(), self.centre, self.spread, self.curved, out)
        return out.reshape(values.shape)


def scaled(values: FloatArray, epsilon: float, *, curved: bool) -> Scaled:
    """Scale by the values' own mean and standard deviation, `epsilon` added: it may be zero."""
    centre, spread = _measures(np.ascontiguousarray(values), epsilon, curved)
    measures = Scaled(values, centre, spread, curved)
    return Scaled(measures.there(values), centre, spread, curved)


@compiled
def _measures(values: Any, epsilon: float, curved: bool) -> tuple[float, float]:
    total, square = 0.0, 0.0
    for value in values:
        total += math.asinh(value) if curved else value
    centre = total / values.size
    for value in values:
        square += ((math.asinh(value) if curved else value) - centre) ** 2
    return centre, math.sqrt(square / (values.size - 1)) + epsilon


@compiled
def _rescaled(values: Any, centre: float, spread: float, curved: bool, out: Any) -> None:
    for i in range(values.size):
        out[i] = ((math.asinh(values[i]) if curved else values[i]) - centre) / spread


@compiled
def _unscaled(values: Any, centre: float, spread: float, curved: bool, out: Any) -> None:
    for i in range(values.size):
        value = values[i] * spread + centre
        out[i] = math.sinh(value) if curved else value
