"""The streams that the platform feeds itself: a metric of an entity each, by the engine of regimes.

They are a kind of their own, so that no client's stream shares a name, a quota or the budget of
alarms with them.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from deployments.anomaly.alarm_budget import DAY
from deployments.anomaly.record import Event
from deployments.anomaly.regime import RegimeHandler
from deployments.anomaly.stream import Stream
from deployments.anomaly.telemetry.keys import KIND
from deployments.runtime.state.handler import Reply
from models.anomaly.streams import RegimeAnswers


class EvenBudget:
    """The budget of all streams of telemetry, by what each interval of each is due.

    Intervals come in bursts: what accrued since the last burst must not go to its first rows.
    """

    def __init__(self) -> None:
        self._each = 0.0

    def spread(self, alarms_per_day: float, streams: int, cadence_seconds: int) -> None:
        """Give each of the coming observations, each of an interval so long, the same share."""
        self._each = min(alarms_per_day * cadence_seconds / DAY / max(streams, 1), 1.0)

    def share(self, observations: int, now: float, alarms_per_day: float) -> float:  # noqa: ARG002 - as every budget is asked
        return self._each


class TelemetryHandler(RegimeHandler):
    """Regimes, whose replies say all that is known of a stream."""

    kind = KIND
    columns = ()

    def __init__(self, budget: EvenBudget, clock: Callable[[], float]) -> None:
        super().__init__(budget, clock)

    def latest(self, answers: RegimeAnswers) -> dict[str, Any]:
        return {
            **super().latest(answers),
            "score": float(answers.distance[-1]),
            "alarm": bool(answers.alarm[-1]),
            "change_point": bool(answers.change_point[-1]),
        }

    def reply(
        self, stream: Stream, answers: RegimeAnswers | None, taken: dict[str, int]
    ) -> Reply[Event]:
        """Say what the record holds; also of a row that was taken before, in another life."""
        said = super().reply(stream, answers, taken)
        if said.refusal is not None:
            return said
        record = asdict(stream.record)
        return Reply(detail={"data": record | {"segments": self._segments(stream)} | taken})
