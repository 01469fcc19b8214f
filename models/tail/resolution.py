"""What can be answered of entities that lie within one bucket: bounds, and only those.

How the latencies lie between the bucket's begin and its end nobody has measured. So what the model
says from in there is told as the end at most, or the begin at least. Whether an objective in there
is met nobody knows: the plan then changes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np

from models.protocols import BoolArray, Columns, FloatArray
from models.tail.buckets import Bucket

BEGIN, END = "bucket_begin_ms", "bucket_end_ms"
"""Columns of an answer in which any row is bounded; NaN in the others' rows."""
_UNBOUNDED = Bucket(np.nan, np.nan)


class Resolution(NamedTuple):
    """Each row's bucket; NaN, with which no comparison is true, where latencies are measured."""

    begin: FloatArray
    end: FloatArray

    @classmethod
    def of(cls, buckets: Mapping[str, Bucket], entities: Sequence[str]) -> Self | None:
        """Look the entities up; None where none is bounded, as usual."""
        if buckets.keys().isdisjoint(entities):
            return None
        found = np.array([buckets.get(each, _UNBOUNDED) for each in entities])
        return cls(found[:, 0], found[:, 1])

    def hides(self, latency: FloatArray) -> BoolArray:
        """Say which latencies lie within the bucket."""
        hidden: BoolArray = (self.begin < latency) & (latency < self.end)
        return hidden

    def bounded(self, latencies: Columns) -> dict[str, FloatArray]:
        """Turn what is said from within the bucket into bounds; the lower end's is from below."""
        most = {
            name: np.where(self.hides(each), self.end, each) for name, each in latencies.items()
        }
        lower = latencies["lower"]
        least = np.where(self.hides(lower), self.begin, lower)
        return {**most, "lower": least, BEGIN: self.begin, END: self.end}
