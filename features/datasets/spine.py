"""Which entities and moments a training set has a row of."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

import numpy as np
import numpy.typing as npt

from features.errors import BadSpineError

Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Spine:
    """A row each: an entity, and a moment in epoch milliseconds."""

    entity: Texts
    at_ms: Ints

    def __len__(self) -> int:
        return len(self.at_ms)

    @classmethod
    def of(cls, entities: Sequence[str], seconds: Sequence[float], most_rows: int) -> Self:
        """Take rows that somebody wrote down; raises BadSpineError."""
        if len(entities) != len(seconds):
            reason = f"{len(entities)} entities and {len(seconds)} times: a row has one of each"
            raise BadSpineError("rows", reason)
        if not 1 <= len(entities) <= most_rows:
            raise BadSpineError("rows", f"{len(entities)} rows; from 1 to {most_rows} may be asked")
        at = np.asarray(seconds, dtype=np.float64)
        wrong = np.flatnonzero(~(np.isfinite(at) & (at >= 0) & (at < 2**32)))
        if len(wrong):
            reason = f"row {wrong[0]} has {at[wrong[0]]:g}, which is no time in epoch seconds"
            raise BadSpineError("time", reason)
        # Down to a whole millisecond: nothing that was known a moment later may count. First to
        # the microsecond, since a float of epoch seconds is not exact.
        at_ms = np.floor(np.round(at * 1000, 3)).astype(np.int64)
        return cls(np.asarray(entities, dtype=np.str_), at_ms)

    @classmethod
    def every(
        cls, entities: Sequence[str], since: int, until: int, step_seconds: int, most_rows: int
    ) -> Self:
        """Take each whole step of [since, until) of each entity; raises BadSpineError."""
        if step_seconds < 1:
            raise BadSpineError("every_seconds", f"{step_seconds} s; it must be 1 or more")
        if until <= since:
            raise BadSpineError("until", f"{until} is not after `since`, {since}")
        first = -(-since // step_seconds) * step_seconds
        rows = len(range(first, until, step_seconds)) * len(entities)
        if not 1 <= rows <= most_rows:
            raise BadSpineError("until", f"that is {rows} rows; from 1 to {most_rows} may be asked")
        steps = np.arange(first, until, step_seconds, dtype=np.int64) * 1000
        names = np.asarray(entities, dtype=np.str_)
        return cls(np.repeat(names, len(steps)), np.tile(steps, len(names)))

    @property
    def hash(self) -> str:
        """Hash the rows in their order."""
        found = sha256(np.ascontiguousarray(self.at_ms, dtype="<i8").tobytes())
        for each in self.entity.tolist():
            found.update(each.encode() + b"\0")
        return found.hexdigest()
