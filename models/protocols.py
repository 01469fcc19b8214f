"""What the families of models promise to those who serve them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Columns = Mapping[str, NDArray[Any]]
"""Named columns of equal length, one row a request."""


class QuantileModel(Protocol):
    """Answers quantiles of one quantity for a batch of rows.

    A row's answer is the same to the bit whatever batch it rode in; predicting changes nothing in
    the model, and any number of threads may do it at once.
    """

    name: str

    def predict(
        self, columns: Columns, entities: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]: ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Self: ...
