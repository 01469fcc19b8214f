"""What travels between the deployments: named numpy columns, a row a request."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from deployments.wire.frame import Frame
from features.fill import Filled

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

    def to_frame(self) -> Frame:
        return Frame(self.columns, {"family": self.family, "entities": self.entities})

    @classmethod
    def from_frame(cls, frame: Frame) -> Self:
        return cls(frame.head["family"], frame.head["entities"], frame.columns)


@dataclass(slots=True)
class Prediction:
    """What a family says of a batch; no columns at all when its model could not answer."""

    columns: Columns
    model: str
    model_version: str

    def to_frame(self) -> Frame:
        return Frame(self.columns, {"model": self.model, "model_version": self.model_version})

    @classmethod
    def from_frame(cls, frame: Frame) -> Self:
        return cls(frame.columns, **frame.head)


@dataclass(slots=True)
class Judgement:
    """What safety made of a batch: the columns that may leave, and why they differ."""

    columns: Columns
    levels: FloatArray  # the level's code
    fallback: FloatArray  # 1 where the answer is the fallback's
    # Only rows that broke something are named.
    violations: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    policy_version: int = 0

    def to_frame(self) -> Frame:
        head = {"violations": self.violations, "policy_version": self.policy_version}
        return Frame({**self.columns, "_level": self.levels, "_fallback": self.fallback}, head)

    @classmethod
    def from_frame(cls, frame: Frame) -> Self:
        columns = dict(frame.columns)
        levels, fallback = columns.pop("_level"), columns.pop("_fallback")
        violations = {int(row): found for row, found in frame.head["violations"].items()}
        return cls(columns, levels, fallback, violations, frame.head["policy_version"])


def filled_to_frame(filled: Filled) -> Frame:
    head = {"stale": filled.stale, "assumed": filled.assumed}
    return Frame({**filled.columns, "_event_time": filled.event_time}, head)


def filled_from_frame(frame: Frame) -> Filled:
    columns = dict(frame.columns)
    event_time = columns.pop("_event_time")
    stale, assumed = (
        {int(row): tuple(names) for row, names in frame.head[which].items()}
        for which in ("stale", "assumed")
    )
    return Filled(columns, stale, assumed, event_time)
