"""The telemetry that a row asks of, where it brings no values."""

from deployments.runtime.batch import Batch

# An entity, and one of its metrics.
Wanted = tuple[str, str]


def wanted_of(batch: Batch) -> list[Wanted | None]:
    """Name the telemetry that each row asks of, where it brings no values."""
    return [
        None if ask["m"] is None else (entity, ask["m"])
        for entity, ask in zip(batch.entities, batch.asks, strict=True)
    ]
