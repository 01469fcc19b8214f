"""The names of the streams of telemetry, for who feeds them and who asks about them."""

KIND = "telemetry"


def key_of(entity: str, metric: str) -> str:
    """Name a stream; a metric has no blank in it."""
    return f"{metric} {entity}"


def parts_of(key: str) -> tuple[str, str]:
    """Give the entity and the metric of a stream."""
    metric, _, entity = key.partition(" ")
    return entity, metric
