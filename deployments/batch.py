"""What travels between the deployments: named numpy columns, a row a request."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Columns = dict[str, FloatArray]


@dataclass(slots=True)
class Batch:
    """The rows of one family that ride together; NaN marks what a request left out."""

    family: str
    entities: list[str]
    columns: Columns

    def __len__(self) -> int:
        return len(self.entities)


@dataclass(slots=True)
class Prediction:
    """What a family says of a batch; no columns at all when its model could not answer."""

    columns: Columns
    model: str
    model_version: str


@dataclass(slots=True)
class Judgement:
    """What safety made of a batch: the columns that may leave, and why they differ."""

    columns: Columns
    levels: npt.NDArray[np.int8]
    fallback: npt.NDArray[np.bool_]
    # Only rows that broke something are named.
    violations: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    policy_version: int = 0
