"""A small platform whose law of latency is written out, and a tail model trained on it once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri

from models.tail.training import TrainedTail, train_tail

MINUTE, DAY = 60, 86_400
Arrays = dict[str, NDArray[Any]]


class WrittenLaw:
    """Latency is log-normal given load and infra; two entities differ by their scale only."""

    first_day = 20_000
    days = 24
    scale_ms = {"gateway": 2.0, "settlement": 180.0}  # noqa: RUF012  read only

    def log_quantile(self, level: Any, load: Any, infra: Any) -> Any:
        """Quantile of log(latency / scale)."""
        return 1.5 * load**3 + infra**2 + (0.2 + 0.5 * load) * ndtri(level)

    def telemetry(self, seed: int, first_day: int | None = None, days: int | None = None) -> Arrays:
        start = self.first_day if first_day is None else first_day
        rng = np.random.default_rng([seed, start])
        ts = np.arange(start * DAY, (start + (days or self.days)) * DAY, MINUTE)
        parts = [self._entity(rng, name, ts) for name in self.scale_ms]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _entity(self, rng: np.random.Generator, name: str, ts: NDArray[np.int64]) -> Arrays:
        load = 0.1 + 0.8 * np.sin(np.pi * (ts % DAY) / DAY) * rng.beta(4, 2, ts.size)
        infra = rng.beta(2, 6, ts.size)
        levels = rng.random((ts.size, 8))
        logs = self.log_quantile(levels, load[:, None], infra[:, None])
        exemplars = self.scale_ms[name] * np.exp(logs)
        return {
            "ts": ts,
            "entity": np.full(ts.size, name),
            "load": load,
            "infra": infra,
            "request_rate": 1_000 * load,
            "error_rate": rng.exponential(1e-3, ts.size).clip(0, 1),
            "p50_ms": np.median(exemplars, axis=1),
            "exemplars": exemplars,
        }


def silent(_share: float, _what: str) -> None:
    """Hear progress and say nothing."""


@pytest.fixture(scope="session")
def law() -> WrittenLaw:
    return WrittenLaw()


@pytest.fixture(scope="session")
def train() -> Callable[..., TrainedTail]:
    def small(columns: Arrays, seed: int = 11, requests: int = 30_000) -> TrainedTail:
        return train_tail(columns, seed=seed, threads=1, progress=silent, requests=requests)

    return small


@pytest.fixture(scope="session")
def trained(law: WrittenLaw, train: Callable[..., TrainedTail]) -> TrainedTail:
    return train(law.telemetry(seed=5))


@pytest.fixture(scope="session")
def ask() -> Callable[[int, int], Arrays]:
    """Rows such as clients send, some of them beyond what the model has seen."""

    def rows(count: int, seed: int) -> Arrays:
        rng = np.random.default_rng(seed)
        return {
            "load": rng.uniform(0, 1.6, count),
            "infra": rng.uniform(0, 1, count),
            "request_rate": rng.uniform(0, 2_000, count),
            "error_rate": rng.beta(1, 50, count),
            "active_workers": rng.integers(1, 60, count).astype(np.float64),
            "baseline_ms": rng.lognormal(2, 2, count),
            "baseline_rate": rng.uniform(100, 1_000, count),
            "slo_ms": rng.lognormal(3, 2, count),
        }

    return rows
