"""Request bodies: the same rows for every server, each in the words of its own API."""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENTITY = "order-gateway"
USUAL_REQUEST_RATE = 500.0
BASELINE_MS = 20.0
Body = dict[str, Any]


@dataclass(frozen=True)
class Row:
    load: float
    infra: float
    request_rate: float
    error_rate: float

    @property
    def features(self) -> list[float]:
        """What the model sees."""
        rate_ratio = self.request_rate / USUAL_REQUEST_RATE
        return [self.load, self.infra, self.error_rate, rate_ratio]


def draw_rows(count: int, rng: random.Random) -> list[Row]:
    return [
        Row(
            load=round(rng.uniform(0.2, 0.95), 4),
            infra=round(rng.uniform(0.1, 0.9), 4),
            request_rate=round(rng.uniform(100, 1500), 1),
            error_rate=round(rng.expovariate(200), 5),
        )
        for _ in range(count)
    ]


def model_bodies(rows: Sequence[Row]) -> list[Body]:
    names = ("load", "infra", "error_rate", "rate_ratio")
    return [dict(zip(names, row.features, strict=True)) for row in rows]


def array_bodies(rows: Sequence[Row]) -> list[Body]:
    return [{"rows": [row.features]} for row in rows]


def v2_bodies(rows: Sequence[Row]) -> list[Body]:
    """Speak the open inference protocol, as MLServer does."""
    return [
        {"inputs": [{"name": "rows", "shape": [1, 4], "datatype": "FP32", "data": row.features}]}
        for row in rows
    ]


def platform_bodies(rows: Sequence[Row]) -> list[Body]:
    """Use Ballast's words; every third body leaves two features for the feature store to fill."""
    return [_platform_body(row, sparse=i % 3 == 2) for i, row in enumerate(rows)]  # noqa: PLR2004 - every third


def _platform_body(row: Row, *, sparse: bool) -> Body:
    body: Body = {"entity": ENTITY, "load": row.load, "request_rate": row.request_rate}
    if not sparse:
        body |= {"infra": row.infra, "error_rate": row.error_rate}
    return body | {"slo_ms": 250}


DIALECTS: dict[str, Callable[[Sequence[Row]], list[Body]]] = {
    "model": model_bodies,
    "array": array_bodies,
    "v2": v2_bodies,
    "platform": platform_bodies,
}


def write_bodies(path: Path, bodies: Iterable[Body]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies))
    return path
