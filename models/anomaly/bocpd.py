"""Bayesian online change-point detection: since when the present regime lasts, and what it is.

Adams and MacKay, Bayesian Online Changepoint Detection, 2007: the posterior of the run length,
that is of how many observations the present regime has given, under a constant hazard and
conjugate models; all in logarithms. The best segmentation is the max-product over those posteriors
of Pagotto's ocp (2019), by which the literature quotes this method. An observation may count for
less than one (`weight`): then it is generalised Bayes (Bissiri, Holmes and Walker 2016).

Hypotheses are kept to K. When there are more, one hands its probability p to the neighbour of most
similar age: the one for which p times the distance, as a share of its age, is least. So nothing is
lost from the posterior of the run length r, and in one step it moves by no more than ln(n + 1) /
(K - 3)^2 in probability times relative change of r after n observations (Cauchy and Schwarz: the
distances add up to at most ln(n + 1), the probabilities to 1). Those under 1e-12 go at once.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from models.anomaly import bocpd_snapshot
from models.anomaly.bocpd_kernel import advance
from models.anomaly.bocpd_parting import parts
from models.anomaly.bocpd_settings import BocpdSettings
from models.anomaly.bocpd_state import F64Array, I64Array, Steps, Streams
from models.anomaly.inputs import checked_points
from models.anomaly.slots import Slots, checked_rows, fill, grown
from models.errors import ArtifactError, InvalidColumnError, ModelError
from models.memory import give_back
from models.protocols import BoolArray

_LEAST = 1e-12
_MOST_COUNT = 1e12


class Segment(NamedTuple):
    start: int
    """Its first observation, counted from 0."""
    began: float
    """When that was made."""


class Turn(NamedTuple):
    """When the best segmentation's last segment became another one."""

    number: int
    """Counted from 0 for each stream."""
    after: int
    """So many observations."""
    start: int
    began: float


class Path(NamedTuple):
    """What the best segmentation of a stream is read from: its latest turns, oldest first."""

    total: int
    """How many observations there were."""
    turns: list[Turn]


def best_segments(path: Path) -> list[Segment]:
    """Give the best segmentation, oldest first."""
    found, wanted = list[Segment](), path.total
    for turn in reversed(path.turns):
        if wanted < 1:
            break
        if turn.after <= wanted:
            found.append(Segment(turn.start, turn.began))
            wanted = turn.start - 1
    return found[::-1]


class Scale(NamedTuple):
    """What observations are measured by: (value - centre) / spread; counts have centre 0."""

    centre: F64Array
    """(dimensions)"""
    spread: F64Array
    """(dimensions): a usual sd within a regime; of counts, a usual rate."""


@dataclass(frozen=True)
class Regimes:
    """A row for each observation."""

    change_probability: F64Array
    """That the regime is at most `recent` observations old, not counting the stream's first."""
    change_point: BoolArray
    """Whether a new regime is announced with this observation: once for each."""
    start: I64Array
    began: F64Array
    run_length: I64Array
    """The most probable one."""
    mean: F64Array
    """(rows, dimensions): of the observations of the regime."""
    sd: F64Array
    surprise: F64Array
    """Minus the log predictive density, before the observation was taken in; 0 in warm-up."""
    segment: I64Array
    """Where the last segment of the best segmentation begins."""
    warming: BoolArray
    """While the scale is being learnt: nothing was predicted, so nothing can surprise."""
    log_odds: F64Array
    """Of the change probability; it still tells 1 - 1e-9 from 1 - 1e-12. 0 in warm-up."""


class RegimeBank:
    """Many streams of the same settings and dimensions. It changes as they advance."""

    def __init__(
        self, settings: BocpdSettings | None = None, *, dimensions: int = 1, reserve: int = 0
    ) -> None:
        """Reserve address space for so many streams: it is no memory until they open."""
        self.settings = settings or BocpdSettings()
        self.dimensions = dimensions
        self._slots = Slots(reserve)
        self._prior = self.settings.prior(dimensions)
        none = bocpd_snapshot.empty(self.settings, dimensions)
        self._streams = Streams(**grown(none._asdict(), reserve))

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def capacity(self) -> int:
        """Say how many slots there is room for."""
        return self._slots.capacity

    def open(self, scale: Scale | None = None) -> int:
        """Begin a stream; without its scale it learns it from its first observations."""
        if scale and not (np.isfinite(scale).all() and (scale.spread > 0).all()):
            raise ModelError(
                f"{scale} cannot be a scale: give finite numbers, with the spread above 0"
            )
        slot = self._slots.take()
        if self._slots.capacity > len(self._streams.total):
            self._streams = Streams(**grown(self._streams._asdict(), self._slots.capacity))
        for array in self._streams:
            array[slot] = 0
        self._streams.scale[slot] = 1.0
        if scale:
            self._streams.centre[slot], self._streams.scale[slot] = scale
            self._streams.stashed[slot] = self.settings.warmup + 1  # it learns from none
        return slot

    def close(self, slot: int) -> None:
        self._slots.release(slot)

    def advance(
        self,
        slots: I64Array,
        values: F64Array,
        when: F64Array | float = 0.0,
        expected_run: F64Array | float | None = None,
    ) -> Regimes:
        """Take one observation a row, in order; a stream's answers depend on its own rows only."""
        rows = np.array(slots, dtype=np.int64)
        self._slots.require(rows.tolist())
        given = self._checked(values, rows.size)
        run = self.settings.expected_run if expected_run is None else expected_run
        hazard = 1 / np.clip(checked_rows("expected_run", run, rows.size), 1 + 1e-6, 1e9)
        times = checked_rows("when", when, rows.size)
        out = _answers(rows.size, self.dimensions)
        recent = self.settings.recent
        advance(self._prior, self._streams, rows, given, times, hazard, recent, _LEAST, out)
        return Regimes(*out)

    def run_lengths(self, slot: int) -> tuple[I64Array, F64Array]:
        """Give the posterior of the run length: the lengths kept apart, and their probabilities."""
        self._slots.require((slot,))
        size = max(int(self._streams.size[slot]) - 1, 0)
        lengths = self._streams.total[slot] - self._streams.start[slot, :size]
        probability = np.exp(self._streams.log_p[slot, :size])
        return lengths, probability / max(probability.sum(), np.finfo(float).tiny)

    def began(self, slot: int) -> F64Array:
        """Give when the regimes that `run_lengths` keeps apart would have begun."""
        lengths, _ = self.run_lengths(slot)
        return self._streams.began[slot, : lengths.size].copy()

    def changed(self, slot: int) -> BoolArray:
        """Give which of them are a change: not the one that began with the stream."""
        lengths, _ = self.run_lengths(slot)
        changed: BoolArray = self._streams.start[slot, : lengths.size] > 0
        return changed

    def began_between(self, slot: int, since: float, until: float) -> float:
        """Give the probability that the present regime began in [since, until], as `when` counts.

        The beginning of the stream is no change.
        """
        lengths, probability = self.run_lengths(slot)
        began = self._streams.began[slot, : lengths.size]
        changed = self._streams.start[slot, : lengths.size] > 0
        return float(min(1.0, probability[changed & (since <= began) & (began <= until)].sum()))

    def segments(self, slot: int) -> list[Segment]:
        """Give the best segmentation, oldest first.

        It begins with 0, unless there are so many segments that only the latest dozens are kept.
        """
        return best_segments(self.path(slot))

    def warm(self, slot: int) -> bool:
        """Tell whether a stream's scale is known; before, each answer begins the filter anew."""
        self._slots.require((slot,))
        return bool(self._streams.stashed[slot] >= self.settings.warmup)

    def judges(self, slot: int, expected_run: float) -> bool:
        """Tell whether a change can be told from noise: the scale is known, or the values part."""
        if self.warm(slot) or self.settings.family == "poisson" or self._streams.told[slot] > 0:
            return True
        return bool(parts(self._streams.stash[slot], self._streams.stashed[slot], expected_run))

    def path(self, slot: int) -> Path:
        """Give what the best segmentation is read from, as it is now."""
        self._slots.require((slot,))
        streams, kept = self._streams, self._streams.path_from.shape[1]
        written = int(streams.paths[slot])
        numbers = np.arange(max(written - kept, 0), written)
        columns = (streams.path_from, streams.path_start, streams.path_began)
        rows = (column[slot, numbers % kept].tolist() for column in columns)
        return Path(int(streams.total[slot]), list(map(Turn, numbers.tolist(), *rows)))

    def nbytes(self) -> int:
        """Say how much memory a stream takes."""
        return sum(array[:1].nbytes for array in self._streams)

    def free_runs(self, least: int) -> list[tuple[int, int]]:
        """Give the runs of at least so many slots that no stream has."""
        return self._slots.free_runs(least)

    def give_back(self, runs: list[tuple[int, int]]) -> None:
        """Return the memory of these free slots to the system."""
        give_back(self._streams, runs)

    def encode(self, slot: int) -> bytes:
        """Write a stream down; what `restore` makes of it goes on to the same bits."""
        self._slots.require((slot,))
        return bocpd_snapshot.encode(self.settings, self.dimensions, self._streams, slot)

    def restore(self, data: bytes) -> int:
        """Open a stream as `encode` wrote it; ArtifactError when it is not of these settings."""
        state = bocpd_snapshot.decode(data, self.settings, self.dimensions)
        slot = self.open()
        try:
            fill(self._streams._asdict(), slot, state)
        except ArtifactError:
            self.close(slot)
            raise
        return slot

    @classmethod
    def like(cls, data: bytes) -> Self:
        """Make an empty bank of the settings that a stream was written down with."""
        settings, dimensions = bocpd_snapshot.settings_of(data)
        return cls(settings, dimensions=dimensions)

    def _checked(self, values: F64Array, rows: int) -> F64Array:
        given = checked_points(values, self.dimensions, "values")
        if len(given) != rows:
            raise InvalidColumnError("values", f"has {len(given)} rows, but slots has {rows}")
        if self.settings.family == "poisson":
            bad = np.flatnonzero(((given < 0) | (given != np.floor(given))).any(axis=1))
            if bad.size:
                reason = (
                    f"row {bad[0]} is {given[bad[0]].tolist()}; counts must be whole numbers "
                    "from 0 on"
                )
                raise InvalidColumnError("values", reason, bad.tolist())
            return np.minimum(given, _MOST_COUNT)
        return given


def _answers(rows: int, dimensions: int) -> Steps:
    def zeros() -> F64Array:
        return np.zeros(rows)

    def integer_zeros() -> I64Array:
        return np.zeros(rows, dtype=np.int64)

    return Steps(
        change=zeros(),
        announced=np.zeros(rows, dtype=np.bool_),
        start=integer_zeros(),
        began=zeros(),
        run=integer_zeros(),
        mean=np.zeros((rows, dimensions)),
        sd=np.zeros((rows, dimensions)),
        surprise=zeros(),
        segment=integer_zeros(),
        warming=np.zeros(rows, dtype=np.bool_),
        log_odds=zeros(),
    )
