"""Puts a model that was trained into the registry, as its name's champion."""

import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from models.model_version import DEMO, MEASURED, TELEMETRY, ModelVersion
from models.registry import CHAMPION, Registry


def make_champion(
    registry: Registry,
    scratch: Path,
    name: str,
    save: Callable[[Path], object],
    metrics: Mapping[str, float],
    *,
    made_up: bool,
) -> ModelVersion:
    """Save it in the run's own folder first, which goes with the run, however that ends.

    What was trained on the demo's telemetry is marked so: it is replaced once there is better.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        save(Path(folder))
        trained_at = datetime.fromtimestamp(time.time(), UTC).isoformat()
        tags = {"trained_at": trained_at, TELEMETRY: DEMO if made_up else MEASURED}
        version = registry.register(name, Path(folder), metrics=metrics, tags=tags)
    return registry.set_alias(name, CHAMPION, version.version)
