"""What a request asks of a series: the gateway writes it, the forecasting deployment reads it."""

from typing import TypedDict


class ForecastSeries(TypedDict):
    """One row's request."""

    metric: str | None
    """The entity's telemetry; None where the request brings its values."""
    values: list[float | None] | None
    ts: list[float] | None
    """When each value begins, in epoch seconds."""
    start: float | None
    """When the first value begins, where ts does not say it."""
    frequency: str | None
    """Such as 5m; None where it is found in the times."""
    horizon: int
    levels: list[float]
    """Rising, each once."""
    holidays: list[str]
    """Days such as 2026-12-25, in order."""
    model: str
    least: float | None
    """What no value can be under."""
