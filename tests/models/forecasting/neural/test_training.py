"""Training: the same for the same seed, reported, bounded, and refused when there is too little."""

import math
import sys
from dataclasses import replace
from subprocess import run

import numpy as np
import pytest

from models.errors import TrainingDataError
from models.forecasting.neural.fitting import rate_at
from models.forecasting.neural.networks import TFT_PLAN
from models.forecasting.neural.training import train_neural
from tests.models.forecasting.neural.conftest import PLANS, Lesson, made_up


def test_the_same_seed_gives_the_same_weights(lesson: Lesson) -> None:
    again = train_neural(lesson.series, 7, lambda *_: None, plans=PLANS)
    for name in ("nbeats", "tft"):
        left, right = getattr(lesson.trained, name).weights, getattr(again, name).weights
        assert all(np.array_equal(left[key], right[key]) for key in left)


def test_it_says_how_far_it_is(lesson: Lesson) -> None:
    shares = [share for share, _ in lesson.told]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert {what for _, what in lesson.told} == {"importing PyTorch", "nbeats", "tft"}


def test_columns_that_never_change_are_left_out(lesson: Lesson) -> None:
    assert lesson.trained.tft.layout.known == ("open", "late")


def test_a_limit_cuts_steps_and_not_time() -> None:
    plan = replace(TFT_PLAN, steps=100, seconds_a_step=0.5)
    assert plan.within(10.0) == 20
    assert plan.within(1_000.0) == 100
    assert plan.within(0.0) == 1


def test_the_rate_of_learning_rises_and_falls_to_nothing() -> None:
    rates = [rate_at(share) for share in np.linspace(0.01, 1.0, 100)]
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert math.isclose(rates[-1], 0.0, abs_tol=1e-12)


def test_too_little_history_is_refused() -> None:
    for series in ([], [made_up("short", 5.0, 100)], [replace(made_up("d", 1.0), step=86_400)]):
        with pytest.raises(TrainingDataError, match="hour"):
            train_neural(series, 0, lambda *_: None, plans=PLANS)


def test_gaps_and_a_series_without_history_do_no_harm() -> None:
    holes = made_up("holes", 30.0)
    holes.values[np.random.default_rng(0).random(700) < 0.1] = np.nan
    series = [holes, made_up("new", 5.0, 10), replace(made_up("none", 1.0), values=np.empty(0))]
    plans = (replace(PLANS[0], steps=2), replace(PLANS[1], steps=2))
    trained = train_neural(series, 0, lambda *_: None, plans=plans)
    for model in (trained.nbeats, trained.tft):
        assert np.isfinite(model.forecast([holes], 24).upper).all()


def test_serving_imports_neither_pytorch_nor_pandas() -> None:
    """A replica starts in a second or two, and stays small."""
    code = (
        "import sys\n"
        "import models.forecasting.neural.nbeats, models.forecasting.neural.tft\n"
        "print([name for name in ('torch', 'lightning', 'pandas') if name in sys.modules])"
    )
    out = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
