"""exp and log that give an element the same bits in any batch, on any machine's vector unit.

numpy chooses among vector and scalar routines by the processor and by how an array lies in memory,
and they differ in the last bit. The C library's scalar routine, one element at a time, leaves it
no choice; a row costs about 60 ns more.
"""

import math
from collections.abc import Callable

import numpy as np

from models.protocols import FloatArray


def exp(values: FloatArray) -> FloatArray:
    return _each(math.exp, values)


def log(values: FloatArray) -> FloatArray:
    return _each(math.log, values)


def _each(function: Callable[[float], float], values: FloatArray) -> FloatArray:
    flat = np.fromiter(map(function, values.ravel().tolist()), np.float64, values.size)
    return flat.reshape(values.shape)
