"""Regimes of streams: change points, and what the present regime is."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.special import stdtrit

from deployments.batch import Refusal
from deployments.families.streams import LEVEL
from deployments.keyed.keeper import Reply
from deployments.streams.keeper import Stream, StreamKeeper
from deployments.streams.purse import Purse
from deployments.streams.record import Observed, Record
from models.anomaly.gate import Gate
from models.anomaly.streams import RegimeAnswers, RegimeStreams

MOST_STREAMS = 100_000
"""In memory on one replica, 20 to 55 kB each; those idle longest leave first."""
SHOWN_SEGMENTS = 12


class RegimeKeeper(StreamKeeper[RegimeAnswers]):
    kind = "regime"
    columns = ("change_probability", "run_length", "mean", "sd", "p_value", "lower", "upper")

    def __init__(self, purse: Purse, clock: Callable[[], float]) -> None:
        super().__init__(purse, clock)
        # Tables are not copied as they grow; memory that nobody wrote to costs nothing.
        self._streams = RegimeStreams(reserve=MOST_STREAMS)

    def begin(self, stream: Stream, seen: Observed) -> None:  # noqa: ARG002 - all begin alike
        stream.slot = self._streams.open(stream.seed)

    def advance(self, rows: Sequence[tuple[Stream, Observed]]) -> list[RegimeAnswers]:
        sizes = [len(seen.values) for _, seen in rows]
        usual = self._streams.bank.settings.expected_run
        found = self._streams.advance(
            np.repeat(np.array([stream.slot for stream, _ in rows], dtype=np.int64), sizes),
            np.concatenate([np.array(seen.values, dtype=np.float64) for _, seen in rows])[:, None],
            np.repeat([seen.share for _, seen in rows], sizes),
            when=np.concatenate([seen.times for _, seen in rows]),
            expected_run=np.repeat([seen.choice or usual for _, seen in rows], sizes),
        )
        ends = np.cumsum(sizes)
        columns = vars(found)
        return [
            RegimeAnswers(**{name: column[end - size : end] for name, column in columns.items()})
            for end, size in zip(ends.tolist(), sizes, strict=True)
        ]

    def alarms(self, answers: RegimeAnswers, seen: Observed) -> list[dict[str, Any]]:
        return [
            {
                "at": seen.times[row],
                "value": seen.values[row],
                "p_value": float(answers.p_value[row]),
                "change_probability": float(answers.change_probability[row]),
            }
            for row in np.flatnonzero(answers.alarm).tolist()
        ]

    def latest(self, answers: RegimeAnswers) -> dict[str, Any]:
        return {
            "change_probability": float(answers.change_probability[-1]),
            "run_length": int(answers.run_length[-1]),
            "start": int(answers.start[-1]),
            "began": float(answers.began[-1]),
            "mean": float(answers.mean[-1, 0]),
            "sd": float(answers.sd[-1, 0]),
            "p_value": float(answers.p_value[-1]),
        }

    def reply(self, stream: Stream, answers: RegimeAnswers | None, taken: dict[str, int]) -> Reply:
        """Say where the stream stands now."""
        latest = stream.record.latest
        if latest is None:
            why = "Nothing of this stream was taken yet, and all of this body is late"
            return Reply(refusal={"code": "conflict", "message": why})
        changes = [] if answers is None else np.flatnonzero(answers.change_point).tolist()
        data = {
            "change_points": changes,
            "alarm": answers is not None and bool(answers.alarm.any()),
            "regime_id": latest["start"],
            "since": latest["began"],
            "segments": self._segments(stream),
            **taken,
        }
        return Reply(_numbers(latest), {"data": data})

    def unfit(self, stream: Stream, ask: dict[str, Any]) -> Refusal | None:  # noqa: ARG002 - all numbers fit
        return None

    def look(self, stream: Stream, ask: dict[str, Any]) -> dict[str, Any]:
        if ask["op"] == "show" or stream.slot is None:
            return {"segments": self._segments(stream)}
        found = self._streams.gate(stream.slot, ask["at"], Gate(ask["window"], ask["prior"]))
        return asdict(found)

    def write_detector(self, record: Record, slot: int) -> bytes:  # noqa: ARG002 - one bank for all
        return self._streams.encode(slot)

    def read_detector(self, record: Record, saved: bytes) -> int:  # noqa: ARG002 - one bank for all
        return self._streams.decode(saved)

    def free(self, record: Record, slot: int) -> None:  # noqa: ARG002 - same
        self._streams.close(slot)

    def _segments(self, stream: Stream) -> list[dict[str, Any]]:
        if stream.slot is None:
            return []
        found = self._streams.segments(stream.slot)[-SHOWN_SEGMENTS:]
        return [{"start": each.start, "since": each.began} for each in found]


def _numbers(latest: dict[str, Any]) -> dict[str, float]:
    """Give the columns that safety judges; the interval is the next observation's."""
    n = max(latest["run_length"], 1)
    mean, sd = latest["mean"], latest["sd"]
    reach = float(stdtrit(max(n - 1, 1), (1 + LEVEL) / 2)) * sd * math.sqrt(1 + 1 / n)
    names = ("change_probability", "run_length", "mean", "sd", "p_value")
    return {name: latest[name] for name in names} | {"lower": mean - reach, "upper": mean + reach}
