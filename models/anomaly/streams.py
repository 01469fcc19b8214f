"""Streams as they are served: detector, p-value and alarm of each, opened, advanced, put away.

A stream is a slot. `advance` takes rows of any streams in one call, several rows a stream if need
be, in order; a stream answers to the bit as if it had been alone. `encode` writes all there is of
a stream, and what `decode` makes of it goes on to the same bits.

`shares` is each row's part of the budget of false alarms (`models.anomaly.alarms.share`). Rows of
a warm-up have p-value 1 and ring no alarm. A refused call changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from models.anomaly import codec
from models.anomaly.alarms import AlarmBank, AlarmSettings, checked_shares
from models.anomaly.bocpd import Path, RegimeBank, Regimes, Scale, Segment
from models.anomaly.bocpd_settings import BocpdSettings
from models.anomaly.distance import distances, empty, enlarged
from models.anomaly.fleet import Fleet, FleetLayout, FleetSettings
from models.anomaly.gate import Gate, GateAnswer, gate
from models.anomaly.inputs import checked_points
from models.anomaly.isolation_stream import IsolationSettings, IsolationStream
from models.anomaly.rrcf import ForestSettings, RandomCutForest
from models.anomaly.slots import Slots, fill
from models.anomaly.watch import AnomalyAnswers, Watch, judge_when_warm, odder
from models.errors import ArtifactError, InvalidColumnError, ModelError
from models.memory import give_back
from models.protocols import BoolArray, FloatArray, IntArray

_REGIME, _REFERENCE, _ANOMALY = "regime-stream", "reference", "anomaly-stream"
_RUN = 8  # rows: of fewer side by side hardly a page is whole
_SETTLED = 64  # points after which a detector's scores are worth comparing

SERVED = AlarmSettings(spikes=True, learning=1_536)
"""The scores of all detectors here have about exponential tails. A day of minutes teaches: what
comes every day would be told as news before that."""

Detector = Literal["rrcf", "isolation_forest", "both", "fleet"]
Kept = TypeVar("Kept", RandomCutForest, IsolationStream, Fleet)


@dataclass(frozen=True)
class RegimeAnswers(Regimes):
    """A row for each observation: the regime, and how odd the observation was."""

    distance: FloatArray
    """From where the stream has been of late, as `models.anomaly.distance` measures it."""
    p_value: FloatArray
    """Of the distance, among the stream's own recent ones."""
    evidence: FloatArray
    """That the stream changed; the alarm needs 1."""
    alarm: BoolArray


class RegimeStreams:
    """Change-point detection for many streams of the same settings and dimensions."""

    def __init__(
        self,
        settings: BocpdSettings | None = None,
        alarms: AlarmSettings | None = None,
        *,
        dimensions: int = 1,
        reserve: int = 0,
    ) -> None:
        """Reserve address space for so many streams, so that it need not grow while they run."""
        self.bank = RegimeBank(settings, dimensions=dimensions, reserve=reserve)
        self.alarms = AlarmBank(alarms or SERVED, reserve=reserve)
        self._reference = enlarged(empty(dimensions), reserve)

    def __len__(self) -> int:
        return len(self.bank)

    def open(self, seed: int, scale: Scale | None = None) -> int:
        """Begin a stream; the seed breaks ties among its scores."""
        slot = self.bank.open(scale)
        self.alarms.open(seed)  # the same slot: both hand out the lowest free one
        self._refer(slot)
        return slot

    def close(self, slot: int) -> None:
        self.bank.close(slot)
        self.alarms.close(slot)

    def advance(
        self,
        slots: IntArray,
        values: FloatArray,
        shares: FloatArray | float,
        *,
        when: FloatArray | float = 0.0,
        expected_run: FloatArray | float | None = None,
    ) -> RegimeAnswers:
        """Take one observation a row, (rows, dimensions), made at `when`."""
        rows = np.asarray(slots, dtype=np.int64)
        spent = checked_shares(shares, rows.size)
        regimes = self.bank.advance(rows, values, when, expected_run)
        given = checked_points(values, self.bank.dimensions)
        distance, early = distances(self._reference, rows, given)
        judged = judge_when_warm(self.alarms, rows, distance, spent, early, given)
        return RegimeAnswers(**vars(regimes), distance=distance, **vars(judged))

    def gate(
        self, slot: int, deployed: float, settings: Gate, *, expected_run: float | None = None
    ) -> GateAnswer:
        """Say whether a deployment changed the regime; this changes nothing."""
        return gate(self.bank, slot, deployed, settings, expected_run=expected_run)

    def segments(self, slot: int) -> list[Segment]:
        """Give the best segmentation so far, oldest first."""
        return self.bank.segments(slot)

    def warm(self, slot: int) -> bool:
        """Tell whether a stream's scale is known, so that each observation is taken as it comes."""
        return self.bank.warm(slot)

    def path(self, slot: int) -> Path:
        """Give what the best segmentation is read from, as it is now."""
        return self.bank.path(slot)

    def nbytes(self) -> int:
        """Say how much memory a stream takes."""
        own = sum(array[:1].nbytes for array in self._reference)
        return self.bank.nbytes() + self.alarms.nbytes() + own

    def give_back(self) -> None:
        """Return the memory of streams that were closed to the system."""
        runs = self.bank.free_runs(_RUN)
        self.bank.give_back(runs)
        self.alarms.give_back(runs)  # the same slots: both hand out the lowest free one
        give_back(self._reference, runs)

    def encode(self, slot: int) -> bytes:
        state = {name: array[slot] for name, array in self._reference._asdict().items()}
        parts = {
            "regime": self.bank.encode(slot),
            "alarm": self.alarms.encode(slot),
            "reference": codec.encode(_REFERENCE, {}, state),
        }
        return _joined(_REGIME, {}, parts)

    def decode(self, data: bytes) -> int:
        """Open a stream as it was written; ArtifactError when it is not of these settings."""
        _, parts = _parted(data, _REGIME)
        if set(parts) != {"regime", "alarm", "reference"}:
            raise ArtifactError(
                f"the snapshot holds only {sorted(parts)}: it is not a complete stream"
            )
        reference = codec.decode(parts["reference"], _REFERENCE).arrays
        slot = self.bank.restore(parts["regime"])
        try:
            self._refer(slot)
            fill(self._reference._asdict(), slot, reference)
            self.alarms.restore(parts["alarm"])
        except ArtifactError:
            self.bank.close(slot)
            raise
        return slot

    def _refer(self, slot: int) -> None:
        """Make room for a stream, and forget who had it before."""
        self._reference = enlarged(self._reference, self.bank.capacity)
        for array in self._reference:
            array[slot] = 0


class AnomalyStreams:
    """Robust random cut forest, isolation forest, both or a fleet, for many streams that are alike.

    Of both, a row is answered by the one to which it is odder; each has half of the budget. A fleet
    has a roster; `models.anomaly.fleet.by_member` tells its members' scores from the attributions.
    """

    def __init__(
        self,
        dimensions: int,
        detector: Detector = "rrcf",
        *,
        forest: ForestSettings | None = None,
        isolation: IsolationSettings | None = None,
        fleet: FleetSettings | None = None,
        roster: FleetLayout | None = None,
        alarms: AlarmSettings | None = None,
    ) -> None:
        if detector not in get_args(Detector):
            raise ModelError(
                f"detector is {detector!r}; choose one of {', '.join(get_args(Detector))}"
            )
        self.dimensions = dimensions
        self.detector = detector
        self._slots = Slots()
        self._watches = list[Watch]()
        if detector in {"rrcf", "both"}:
            self._watches.append(_rrcf(dimensions, forest or ForestSettings(), alarms or SERVED))
        if detector in {"isolation_forest", "both"}:
            chosen = isolation or IsolationSettings()
            self._watches.append(_isolation(dimensions, chosen, alarms or SERVED))
        if detector == "fleet":
            listed = _checked_roster(roster, dimensions)
            self._watches.append(_fleet(listed, fleet or FleetSettings(), alarms or SERVED))

    def __len__(self) -> int:
        return len(self._slots)

    def open(self, seed: int) -> int:
        """Begin a stream; what is random in it follows from the seed."""
        slot = self._slots.take()
        for watch in self._watches:
            watch.open(slot, seed)
        return slot

    def close(self, slot: int) -> None:
        self._slots.release(slot)
        for watch in self._watches:
            watch.close(slot)

    def advance(
        self, slots: IntArray, points: FloatArray, shares: FloatArray | float
    ) -> AnomalyAnswers:
        """Take one point a row, (rows, dimensions)."""
        rows = np.asarray(slots, dtype=np.int64)
        self._slots.require(rows.tolist())
        given = checked_points(points, self.dimensions)
        if len(given) != rows.size:
            raise InvalidColumnError("points", f"has {len(given)} rows, but slots has {rows.size}")
        spent = checked_shares(shares, rows.size) / len(self._watches)
        answers = [watch.advance(rows, given, spent) for watch in self._watches]
        return answers[0] if len(answers) == 1 else odder(*answers)

    def nbytes(self, slot: int) -> int:
        """Say how much memory a stream takes."""
        self._slots.require((slot,))
        return sum(watch.nbytes(slot) for watch in self._watches)

    def encode(self, slot: int) -> bytes:
        self._slots.require((slot,))
        parts = dict[str, bytes]()
        for watch in self._watches:
            parts |= watch.encode(slot)
        return _joined(_ANOMALY, {"detector": self.detector}, parts)

    def decode(self, data: bytes) -> int:
        """Open a stream as it was written; ArtifactError when it is not of these settings."""
        fixed, parts = _parted(data, _ANOMALY)
        if fixed.get("detector") != self.detector:
            raise ArtifactError(
                f"the snapshot is of the detector {fixed}, not of {self.detector!r}"
            )
        slot, opened = self._slots.take(), list[Watch]()
        try:
            for watch in self._watches:
                watch.decode(slot, parts)
                opened.append(watch)
        except ArtifactError:
            self._slots.release(slot)
            for watch in opened:
                watch.close(slot)
            raise
        return slot


def _rrcf(dimensions: int, settings: ForestSettings, alarms: AlarmSettings) -> Watch:
    def make(seed: int) -> RandomCutForest:
        return RandomCutForest(dimensions, settings, seed=seed)

    warmup = settings.shingle - 1 + min(settings.size, _SETTLED)
    read = _of(RandomCutForest.decode, dimensions, settings)
    return Watch("rrcf", make, read, warmup, alarms)


def _isolation(dimensions: int, settings: IsolationSettings, alarms: AlarmSettings) -> Watch:
    def make(seed: int) -> IsolationStream:
        return IsolationStream(dimensions, settings, seed=seed)

    read = _of(IsolationStream.decode, dimensions, settings)
    return Watch("isolation", make, read, settings.regrow, alarms)


def _checked_roster(roster: FleetLayout | None, dimensions: int) -> FleetLayout:
    if roster is None or roster.dimensions != dimensions:
        raise ModelError(
            f"the roster {roster} does not fit: a fleet needs one with {dimensions} dimensions"
        )
    return roster


def _fleet(roster: FleetLayout, settings: FleetSettings, alarms: AlarmSettings) -> Watch:
    of_settings = _of(Fleet.decode, roster.dimensions, settings)

    def make(_: int) -> Fleet:
        return Fleet(roster, settings)

    def read(data: bytes) -> Fleet:
        fleet = of_settings(data)
        if fleet.roster != roster:
            raise ArtifactError(f"the snapshot is of the fleet {fleet.roster}, not of {roster}")
        return fleet

    # Before, scores fall as the noise is learnt: on fleets of normal and of t(3) noise the p-values
    # of the next 150 points have mean .488 when 15 points are waited for, .50 when it is 64.
    warmup = settings.warmup + max(settings.window, _SETTLED)
    return Watch("fleet", make, read, warmup, alarms)


def _of(decode: Callable[[bytes], Kept], dimensions: int, settings: Any) -> Callable[[bytes], Kept]:
    """Read a detector and see that it is of these settings."""

    def read(data: bytes) -> Kept:
        stream = decode(data)
        if (stream.dimensions, stream.settings) != (dimensions, settings):
            raise ArtifactError(
                f"the snapshot was made with the settings {stream.settings}, not with {settings}"
            )
        return stream

    return read


def _joined(kind: str, fixed: Mapping[str, Any], parts: Mapping[str, bytes]) -> bytes:
    arrays = {name: np.frombuffer(part, dtype=np.uint8) for name, part in parts.items()}
    return codec.encode(kind, fixed, arrays)


def _parted(data: bytes, kind: str) -> tuple[Mapping[str, Any], dict[str, bytes]]:
    snapshot = codec.decode(data, kind)
    parts = {name: part.tobytes() for name, part in snapshot.arrays.items()}
    return snapshot.settings, parts
