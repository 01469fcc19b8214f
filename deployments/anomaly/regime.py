"""Regimes of streams: change points, and what the present regime is."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import Any

import numpy as np
from scipy.special import stdtrit

from deployments.anomaly.alarm_budget import Budget
from deployments.anomaly.handler import ALL_LATE, StreamHandler
from deployments.anomaly.operations import JudgeDeploy, ObserveNumbers
from deployments.anomaly.record import Event, Observed, Record
from deployments.anomaly.stream import Stream
from deployments.api.streams import LEVEL
from deployments.runtime.batch import Refusal
from deployments.runtime.state.handler import Reply
from deployments.runtime.state.operations import Show
from models.anomaly.bocpd import Path, Turn, best_segments
from models.anomaly.bocpd_snapshot import PATH_TURNS
from models.anomaly.gate import Gate
from models.anomaly.streams import RegimeAnswers, RegimeStreams
from safety.open_ends import FARTHEST

MOST_STREAMS = 100_000
"""In memory on one replica, 20 to 55 kB each; those idle longest leave first."""
SHOWN_SEGMENTS = 12
FEWEST_FOR_SPREAD = 2

Numbers = Observed[float, float]


class Earlier:
    """A stream's segmentation before rows that the detector takes together."""

    def __init__(self, observations: int, path: Path) -> None:
        self._observations = observations
        self._path = path
        self._turns: list[Turn] | None = None

    def until(self, later: Callable[[], Path], observations: int) -> Path:
        """Give it as it was after so many observations; `later` is as it was after all rows."""
        if self._turns is None:
            both = {turn.number: turn for turn in (*self._path.turns, *later().turns)}
            self._turns = [both[number] for number in sorted(both)]
        total = self._path.total + observations - self._observations
        end = bisect_right(self._turns, total, key=attrgetter("after"))
        return Path(total, self._turns[max(end - PATH_TURNS, 0) : end])


class RegimeHandler(StreamHandler[float, float, RegimeAnswers]):
    kind = "regime"
    columns: tuple[str, ...] = (
        "change_probability",
        "run_length",
        "mean",
        "sd",
        "p_value",
        "lower",
        "upper",
    )

    def __init__(self, alarm_budget: Budget, clock: Callable[[], float]) -> None:
        super().__init__(alarm_budget, clock)
        # Tables are not copied as they grow; memory that nobody wrote to costs nothing.
        self._streams = RegimeStreams(reserve=MOST_STREAMS)
        self._stream_bytes = self._streams.nbytes()
        self._earlier: dict[str, Earlier] = {}

    def most_together(self, stream: Stream) -> int:
        if stream.slot is None or not self._streams.warm(stream.slot):
            return 0
        return PATH_TURNS  # an observation makes one turn at most, and none must be lost

    def remember(self, streams: Sequence[Stream]) -> None:
        self._earlier = {
            stream.name: Earlier(stream.record.observations, self._streams.path(stream.slot))
            for stream in streams
            if stream.slot is not None
        }

    def begin(self, stream: Stream, seen: Numbers) -> None:  # noqa: ARG002 - all begin alike
        stream.slot = self._streams.open(stream.seed)

    def advance(self, rows: Sequence[tuple[Stream, Numbers]]) -> list[RegimeAnswers]:
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

    def alarms(self, answers: RegimeAnswers, seen: Numbers) -> list[dict[str, Any]]:
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

    def reply(
        self, stream: Stream, answers: RegimeAnswers | None, taken: dict[str, int]
    ) -> Reply[Event]:
        """Say where the stream stands now."""
        latest = stream.record.latest
        if latest is None:
            return Reply(refusal=ALL_LATE)
        changes = [] if answers is None else np.flatnonzero(answers.change_point).tolist()
        data = {
            "change_points": changes,
            "alarm": answers is not None and bool(answers.alarm.any()),
            "regime_id": latest["start"],
            "since": latest["began"],
            "segments": self._segments(stream),
            **taken,
        }
        return Reply(columns_of(latest), {"data": data})

    def unfit(self, stream: Stream, ask: ObserveNumbers) -> Refusal | None:  # noqa: ARG002 - all numbers fit
        return None

    def look(self, stream: Stream, ask: Show | JudgeDeploy) -> dict[str, Any]:
        if ask["op"] == "show" or stream.slot is None:
            return {"segments": self._segments(stream)}
        found = self._streams.gate(stream.slot, ask["at"], Gate(ask["window"], ask["prior"]))
        return asdict(found)

    def detector_bytes(self, stream: Stream) -> int:  # noqa: ARG002 - all alike
        return self._stream_bytes

    def give_back(self) -> None:
        self._streams.give_back()

    def write_detector(self, record: Record, slot: int) -> bytes:  # noqa: ARG002 - one bank for all
        return self._streams.encode(slot)

    def read_detector(self, record: Record, saved: bytes) -> int:  # noqa: ARG002 - one bank for all
        return self._streams.decode(saved)

    def free(self, record: Record, slot: int) -> None:  # noqa: ARG002 - same
        self._streams.close(slot)

    def _segments(self, stream: Stream) -> list[dict[str, Any]]:
        if stream.slot is None:
            return []
        found = best_segments(self._path(stream, stream.slot))[-SHOWN_SEGMENTS:]
        return [{"start": each.start, "since": each.began} for each in found]

    def _path(self, stream: Stream, slot: int) -> Path:
        """Give the segmentation as of the record: the detector may have taken later rows too."""
        earlier = self._earlier.get(stream.name)
        if earlier is None:
            return self._streams.path(slot)
        return earlier.until(lambda: self._streams.path(slot), stream.record.observations)


def columns_of(latest: dict[str, Any]) -> dict[str, float]:
    """Give the columns that safety judges; the interval is the next observation's."""
    names = ("change_probability", "run_length", "mean", "sd", "p_value")
    lower, upper = _interval(latest["run_length"], latest["mean"], latest["sd"])
    return {name: latest[name] for name in names} | {"lower": lower, "upper": upper}


def _interval(n: int, mean: float, sd: float) -> tuple[float, float]:
    """Give Student's interval of the next observation; one alone has no spread to tell it by."""
    if n < FEWEST_FOR_SPREAD:
        return -FARTHEST, FARTHEST
    reach = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * sd * math.sqrt(1 + 1 / n)
    return mean - reach, mean + reach
