"""How far the answers of one field are spread otherwise than they were: the stability index.

The population stability index of two histograms p and q is the sum of (p - q) ln(p / q) over their
bins (Siddiqi, Credit Risk Scorecards, 2006): under 0.1 is no change to speak of, over 0.25 a large
one. The bins are the tenths of the reference.
"""

from collections import deque

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

BINS = 10
# A bin that is empty on one side would make the index infinite.
_SMALLEST_SHARE = 1e-4


class Drift:
    """The first rows are the reference, once they are enough; the window is what came last."""

    def __init__(self, least_rows: int, seconds: float) -> None:
        self._least_rows = least_rows
        self._seconds = seconds
        self._first: list[FloatArray] = []
        self._edges: FloatArray | None = None
        self._reference = np.zeros(BINS)
        self._window: deque[tuple[float, FloatArray]] = deque()

    def note(self, values: FloatArray, now: float) -> None:
        finite = values[np.isfinite(values)]
        if not finite.size:
            return
        if self._edges is None:
            self._learn(finite)
            return
        counts = _counted(finite, self._edges)
        # A second's batches are one piece of the window, so that its length is bounded.
        if self._window and int(self._window[-1][0]) == int(now):
            self._window[-1] = (self._window[-1][0], self._window[-1][1] + counts)
        else:
            self._window.append((now, counts))

    def score(self, now: float) -> float | None:
        """Compare the window with the reference; None while there is too little of either."""
        while self._window and self._window[0][0] < now - self._seconds:
            self._window.popleft()
        if self._edges is None or not self._window:
            return None
        recent = np.sum([counts for _, counts in self._window], axis=0)
        if recent.sum() < self._least_rows:
            return None
        return stability_index(recent, self._reference)

    def clear(self) -> None:
        """Begin anew, with a reference of what comes now."""
        self._first, self._edges = [], None
        self._window.clear()

    def _learn(self, values: FloatArray) -> None:
        self._first.append(values)
        if sum(map(len, self._first)) < self._least_rows:
            return
        together = np.concatenate(self._first)
        edges: FloatArray = np.quantile(together, np.linspace(0, 1, BINS + 1)[1:-1])
        self._edges, self._first = edges, []
        self._reference = _counted(together, edges)


def _counted(values: FloatArray, edges: FloatArray) -> FloatArray:
    bins = np.searchsorted(edges, values, side="left")
    return np.bincount(bins, minlength=BINS).astype(np.float64)


def stability_index(recent: FloatArray, reference: FloatArray) -> float:
    p, q = (np.maximum(counts / counts.sum(), _SMALLEST_SHARE) for counts in (recent, reference))
    return float(((p - q) * np.log(p / q)).sum())
