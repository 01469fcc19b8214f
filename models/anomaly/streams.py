"""Streams as they are served: detector, p-value and alarm of each, opened, advanced, put away.

A stream is a slot. `advance` takes rows of any streams in one call, several rows a stream if need
be, in order; a stream answers to the bit as if it had been alone. `encode` writes all there is of
a stream, and what `decode` makes of it goes on to the same bits.

`shares` is each row's part of the budget of false alarms (`models.anomaly.alarms.share`). Rows of
a warm-up have p-value 1 and ring no alarm.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from models.anomaly import codec
from models.anomaly.alarms import AlarmBank, AlarmSettings, Judged
from models.anomaly.bocpd import RegimeBank, Regimes, Scale, Segment
from models.anomaly.bocpd_settings import BocpdSettings
from models.anomaly.inputs import checked_points
from models.anomaly.isolation_stream import IsolationSettings, IsolationStream
from models.anomaly.rrcf import ForestSettings, RandomCutForest
from models.anomaly.slots import Slots, checked_rows
from models.errors import ArtifactError, InvalidColumnError, ModelError
from models.protocols import BoolArray, FloatArray, IntArray

_REGIME, _ANOMALY = "regime-stream", "anomaly-stream"
_BYTES = np.uint8

Detector = Literal["rrcf", "isolation_forest", "both"]


@dataclass(frozen=True)
class RegimeAnswers(Regimes):
    """A row for each observation: the regime, and how odd the observation was."""

    p_value: FloatArray
    """Of the surprise, among the stream's own recent ones."""
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
    ) -> None:
        self.bank = RegimeBank(settings, dimensions=dimensions)
        self.alarms = AlarmBank(alarms)

    def __len__(self) -> int:
        return len(self.bank)

    def open(self, seed: int, scale: Scale | None = None) -> int:
        """Begin a stream; the seed breaks ties among its scores."""
        slot = self.bank.open(scale)
        self.alarms.open(seed)  # slots go in step: the lowest free one is taken by both
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
        spent = _checked_shares(shares, rows.size)
        regimes = self.bank.advance(rows, values, when, expected_run)
        warm = regimes.warm
        judged = _judged(self.alarms, rows, regimes.surprise, spent, warm)
        return RegimeAnswers(**vars(regimes), **vars(judged))

    def gate_inputs(self, slot: int) -> tuple[IntArray, FloatArray]:
        """Give the posterior of the run length."""
        return self.bank.run_lengths(slot)

    def segments(self, slot: int) -> list[Segment]:
        """Give the best segmentation so far, oldest first."""
        return self.bank.segments(slot)

    def nbytes(self) -> int:
        """Say how much memory a stream takes."""
        return self.bank.nbytes() + self.alarms.nbytes()

    def encode(self, slot: int) -> bytes:
        parts = {"regime": self.bank.encode(slot), "alarm": self.alarms.encode(slot)}
        return _joined(_REGIME, {}, parts)

    def decode(self, data: bytes) -> int:
        """Open a stream as it was written; ArtifactError when it is not of these settings."""
        _, parts = _parted(data, _REGIME)
        slot = self.bank.restore(_part(parts, "regime"))
        try:
            self.alarms.restore(_part(parts, "alarm"))
        except ArtifactError:
            self.bank.close(slot)
            raise
        return slot
