"""Two tiny networks, trained once for all tests of a process, and series to ask them about."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.forecasting.forecaster import HourlySeries
from models.forecasting.neural.libraries import Libraries, libraries
from models.forecasting.neural.networks import NBEATS_PLAN, TFT_PLAN
from models.forecasting.neural.training import Trained, train_neural
from models.protocols import FloatArray

START = 1_700_006_400
NAMES = ("open", "late", "never")
PLANS = (
    replace(NBEATS_PLAN, width=16, steps=8, batch=16, windows=60),
    replace(TFT_PLAN, width=8, steps=8, batch=16, windows=60),
)


def made_up(entity: str, level: float, hours: int = 700, seed: int = 0) -> HourlySeries:
    """Draw a day that repeats itself, with working days and noise."""
    at = np.arange(hours + 24)
    is_open = (at % 24 >= 8) & (at % 24 < 17) & (at // 24 % 7 < 5)
    noise = np.random.default_rng(seed).normal(0, 0.05, at.size)
    rate: FloatArray = level * (0.3 + is_open + 0.1 * np.sin(at * 2 * np.pi / 24) + noise)
    known = np.stack([is_open, at % 24 > 20, np.zeros(at.size)], axis=1).astype(np.float64)
    return HourlySeries(entity, START, rate[:hours], known, NAMES)


@dataclass(frozen=True)
class Lesson:
    modules: Libraries
    series: list[HourlySeries]
    trained: Trained
    told: list[tuple[float, str]]


@pytest.fixture(scope="session")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    series = [made_up("gateway", 50.0, seed=1), made_up("matching", 4_000.0, seed=2)]
    told: list[tuple[float, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder := tmp_path_factory.mktemp("training"))
        trained = train_neural(series, 7, lambda *said: told.append(said), plans=PLANS)
        assert not list(Path(folder).iterdir()), "training left something behind"
    return Lesson(libraries(), series, trained, told)


@pytest.fixture(scope="session", params=["nbeats", "tft"])
def model(request: pytest.FixtureRequest, lesson: Lesson) -> Any:
    return getattr(lesson.trained, request.param)
