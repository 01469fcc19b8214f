"""What is served is what pytorch-forecasting itself predicts, to 1e-4, and its interpretation."""

import numpy as np
import pytest

from models.forecasting.neural.libraries import quiet
from models.forecasting.neural.tft_inputs import MEASURED, network_input
from tests.models.forecasting.neural import theirs
from tests.models.forecasting.neural.conftest import PLANS, Lesson, made_up

UNSEEN = [made_up("portal", 900.0, seed=8), made_up("batch", 3.0, hours=500, seed=9)]


def test_tft_quantiles(lesson: Lesson) -> None:
    with quiet():
        network, data = theirs.tft_raw(lesson.modules, lesson.trained, PLANS[1], lesson.series)
        model = lesson.trained.tft
        rows = theirs.table(UNSEEN, model.layout.known, MEASURED)
        expected = theirs.ask(lesson.modules, network, data, rows, mode="quantiles")
    views = [view for each in UNSEEN if (view := network_input(each, 24, model.layout))]
    quantiles = model._forward(views, 24).quantiles
    found = np.stack([view.scale.back(row) for view, row in zip(views, quantiles, strict=True)])
    assert found == pytest.approx(np.asarray(expected), rel=1e-4)
    point = model.forecast(UNSEEN, 24).point
    assert point == pytest.approx(np.sort(np.asarray(expected), axis=-1)[..., 2], rel=1e-4)


def test_tft_interpretation(lesson: Lesson) -> None:
    with quiet():
        network, data = theirs.tft_raw(lesson.modules, lesson.trained, PLANS[1], lesson.series)
        model = lesson.trained.tft
        rows = theirs.table(UNSEEN, model.layout.known, MEASURED)
        raw = theirs.ask(lesson.modules, network, data, rows, mode="raw")
        expected = network.interpret_output(raw)
    found = model.explain(UNSEEN, 24)
    attention = np.asarray(raw["encoder_attention"]).mean(axis=2)
    assert found.attention == pytest.approx(attention, abs=1e-5)
    for side in ("static", "encoder", "decoder"):
        weights = np.stack(list(getattr(found, side).values()), axis=1)
        assert weights == pytest.approx(np.asarray(expected[f"{side}_variables"]), abs=1e-5)


def test_nbeats_points(lesson: Lesson) -> None:
    with quiet():
        network, data = theirs.nbeats_raw(lesson.modules, lesson.trained, PLANS[0], lesson.series)
        expected = theirs.ask(lesson.modules, network, data, theirs.table(UNSEEN, (), 168))
    found = lesson.trained.nbeats.forecast(UNSEEN, 24).point
    assert found == pytest.approx(np.asarray(expected), rel=1e-4)
