"""A small platform whose workers' law is written out, and a capacity model that learned it once."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.forecasting.plan.model import CapacityModel

MINUTE, HOUR, DAY = 60, 3_600, 86_400
START = 20_000 * DAY  # a Wednesday, 00:00 UTC
Arrays = dict[str, NDArray[Any]]


class WrittenLaw:
    """Processors and p99 given the load, written out; entities differ by their scales only."""

    days = 21
    scales = {"quick": (500.0, 2.0), "slow": (5.0, 300.0)}  # noqa: RUF012  read only
    """Each entity's rate a worker at full load, and its p99 when idle."""

    def cpu(self, load: Any) -> Any:
        return 0.02 + 0.9 * load

    def p99(self, load: Any, idle_ms: float) -> Any:
        return idle_ms * (1 + 0.5 * load**3 / np.maximum(1.05 - load, 0.02))

    def telemetry(self, days: int | None = None, seed: int = 1) -> Arrays:
        parts = [self._entity(name, days or self.days, seed) for name in self.scales]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _entity(self, name: str, days: int, seed: int) -> Arrays:
        rng = np.random.default_rng([seed, len(name)])
        full, idle_ms = self.scales[name]
        ts = np.arange(START, START + days * DAY, MINUTE)
        rate = full * 20 * (1.2 - np.cos(2 * np.pi * (ts % DAY) / DAY)) / 2
        rate *= np.exp(0.05 * rng.normal(size=ts.size))
        load = rng.uniform(0.1, 1.0, ts.size)
        p99 = self.p99(load, idle_ms) * np.exp(0.02 * rng.normal(size=ts.size))
        return {
            "ts": ts,
            "entity": np.full(ts.size, name),
            "request_rate": rate,
            "active_workers": rate / (full * load),
            "cpu": self.cpu(load) * np.exp(0.01 * rng.normal(size=ts.size)),
            "p50_ms": p99 / 4,
            "p99_ms": p99,
        }


@pytest.fixture(scope="session")
def law() -> WrittenLaw:
    return WrittenLaw()


@pytest.fixture(scope="session")
def model(law: WrittenLaw) -> CapacityModel:
    return CapacityModel.trained(law.telemetry())
