"""What is read: a thousand entities with fifty features each, and the bodies that ask for them."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.bodies import write_bodies
from config_store.own_features import OwnFeature
from features.definitions.catalogue import STORED
from features.definitions.definition import Calendar, Judged

ENTITIES = 1_000
SIZES = (1, 10, 100)
"""Entities a request."""
BODIES = 400
SEED = 50

OWN = {
    "failures": OwnFeature(expression="error_rate * request_rate", unit="1/s"),
    "unusual": OwnFeature(
        expression="where(request_rate_sd_24h > 0,"
        " abs(request_rate - request_rate_mean_24h) / request_rate_sd_24h, 0)"
    ),
    "headroom": OwnFeature(expression="max(0, 1 - load)", low=0, high=1),
    "per_worker": OwnFeature(expression="request_rate / max(active_workers, 1)", unit="1/s"),
    "pressed": OwnFeature(expression="load > 0.8 or queue_depth > 4 * active_workers"),
}
MEASURED = tuple(each.name for each in STORED if not isinstance(each.computed, Calendar | Judged))
NAMES = (*MEASURED, "load_score", *OWN)
"""The fifty: 44 that are stored, and six that Ballast computes of them when they are read."""


@dataclass(frozen=True)
class Subject:
    entities: Sequence[str]
    rows: Sequence[Mapping[str, float]]
    """What is stored of each entity."""
    asked: Mapping[int, Sequence[Sequence[str]]]
    """Which entities each body names, by how many."""

    def bodies(self, size: int) -> list[dict[str, object]]:
        """Give Ballast's bodies."""
        return [{"entities": each, "features": NAMES} for each in self.asked[size]]


def draw() -> Subject:
    """Draw the same values and the same questions each time."""
    rng = random.Random(SEED)  # noqa: S311 - features, not secrets
    entities = [f"service-{at:04}" for at in range(ENTITIES)]
    rows = [{name: _value(name, rng) for name in MEASURED} for _ in entities]
    asked = {1: [[each] for each in rng.sample(entities, ENTITIES)]}
    asked |= {
        size: [rng.sample(entities, size) for _ in range(BODIES)] for size in SIZES if size > 1
    }
    return Subject(entities, rows, asked)


def _value(name: str, rng: random.Random) -> float:
    """Draw within the bounds: errors and loads are shares."""
    return rng.random() * (1.0 if name.startswith(("error_rate", "load")) else 1_000.0)


def write(folder: Path, bodies: Sequence[Mapping[str, object]], size: int) -> Path:
    return write_bodies(folder / f"{size}.jsonl", [dict(each) for each in bodies])
