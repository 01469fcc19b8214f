"""Streams followed in this process, undisturbed: every answer must be equal to the bit."""

from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np

from models.anomaly.streams import AnomalyStreams, RegimeStreams
from models.protocols import FloatArray

FIELDS = {"regime": "values", "anomaly": "points"}
OF_A_REGIME = ("change_probability", "run_length", "p_value")
OF_ITS_LEVEL = ("mean", "sd")
OF_A_POINT = ("score", "p_value")


@dataclass(slots=True)
class Feed:
    """One stream's observations in the client's order, and what was said of each."""

    kind: str
    stream: str
    sent: list[Any] = field(default_factory=list)
    said: list[tuple[float, ...]] = field(default_factory=list)

    def body(self, value: Any) -> dict[str, Any]:
        """Ask about the next observation, by its number."""
        return {"stream": self.stream, "sequence": len(self.sent), FIELDS[self.kind]: [value]}

    def take(self, value: Any, data: dict[str, Any]) -> None:
        """Note an observation that was acknowledged, with its answer's data."""
        self.sent.append(value)
        self.said.append(_of_regime(data) if self.kind == "regime" else _of_point(data))


def _of_regime(data: dict[str, Any]) -> tuple[float, ...]:
    own = tuple(data[name] for name in OF_A_REGIME)
    return own + tuple(data["regime"][name] for name in OF_ITS_LEVEL)


def _of_point(data: dict[str, Any]) -> tuple[float, ...]:
    if not data["points"]:
        return (np.nan,) * len(OF_A_POINT)
    return tuple(data["points"][0][name] for name in OF_A_POINT)


def differing(feed: Feed) -> list[int]:
    """Name the observations whose answers are not those of the same stream followed here."""
    if not feed.sent:
        return []
    expected = _regimes(feed) if feed.kind == "regime" else _points(feed)
    places: list[int] = np.flatnonzero((np.array(feed.said) != expected).any(axis=1)).tolist()
    return places


def _regimes(feed: Feed) -> FloatArray:
    streams, n = RegimeStreams(), len(feed.sent)
    slots = np.full(n, streams.open(_seed(feed)))
    found = streams.advance(slots, np.array(feed.sent, dtype=np.float64)[:, None], 0.0)
    own = [getattr(found, name) for name in OF_A_REGIME]
    return np.column_stack([*own, *(getattr(found, name)[:, 0] for name in OF_ITS_LEVEL)])


def _points(feed: Feed) -> FloatArray:
    points = np.array(feed.sent, dtype=np.float64)
    streams = AnomalyStreams(points.shape[1])
    found = streams.advance(np.full(len(points), streams.open(_seed(feed))), points, 0.0)
    return np.column_stack([getattr(found, name) for name in OF_A_POINT])


def _seed(feed: Feed) -> int:
    return crc32(feed.stream.encode())
