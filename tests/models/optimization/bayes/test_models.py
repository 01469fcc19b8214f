"""Gaussian processes and acquisitions, held against GPyTorch, BoTorch and finite differences."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from models.optimization.bayes.fit import Fit, _loss, fit
from models.optimization.bayes.gaussian import Gaussian
from models.optimization.bayes.improvement import LogImprovement, _log_h
from models.optimization.bayes.kernel import KINDS, Kind, squares
from models.optimization.bayes.warp import BENDS, Warp

ROWS = np.random.default_rng(0).random((14, 3))
OUTCOMES = np.sin(5 * ROWS[:, 0]) + ROWS[:, 1] ** 2
OUTCOMES = (OUTCOMES - OUTCOMES.mean()) / OUTCOMES.std()
ASKED = np.random.default_rng(1).random((9, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_the_fit_is_right(kind: Kind) -> None:
    theta = np.array([-0.3, 0.2, 0.8, 0.4, -3.0])
    apart = squares(ROWS, ROWS)
    slope = optimize.approx_fprime(theta, lambda t: _loss(t, apart, OUTCOMES, kind)[0], 1e-7)
    np.testing.assert_allclose(_loss(theta, apart, OUTCOMES, kind)[1], slope, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_is_likelier_than_where_it_started(kind: Kind) -> None:
    found = fit(ROWS, OUTCOMES, kind)
    apart = squares(ROWS, ROWS)
    for length in (0.1, 0.5, 2.0):
        other = np.append(np.full(3, math.log(length)), [0.0, -9.0])
        assert found.score >= -_loss(other, apart, OUTCOMES, kind)[0]


def test_the_fit_explains_what_it_saw_and_doubts_what_it_did_not() -> None:
    model = Gaussian.condition(fit(ROWS, OUTCOMES, "matern"), ROWS, OUTCOMES)
    mean, deviation = model.at(ROWS)
    np.testing.assert_allclose(mean, OUTCOMES, atol=0.05)
    assert model.at(np.full((1, 3), 9.0))[1][0] > 5 * deviation.max()


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_are_those_of_the_mean_and_deviation(kind: Kind) -> None:
    model = Gaussian.condition(fit(ROWS, OUTCOMES, kind), ROWS, OUTCOMES)
    for row in ASKED:
        mean, deviation, up, out = model.slopes(row)
        assert mean == pytest.approx(model.at(row[None])[0][0])
        assert deviation == pytest.approx(model.at(row[None])[1][0])
        for part, slope in ((0, up), (1, out)):

            def one(place: Any, part: int = part) -> float:
                return float(model.at(place[None])[part][0])

            np.testing.assert_allclose(
                slope, optimize.approx_fprime(row, one, 1e-6), rtol=1e-3, atol=1e-4
            )


def test_the_improvement_is_the_integral_even_far_out() -> None:
    for z in (-30.0, -6.0, -1.0, -0.99, 0.0, 3.0):

        def depth(t: float, z: float = z) -> float:
            return (t) * math.exp(-0.5 * t * t + z * t)

        rest = math.log(integrate.quad(depth, 0, 40, epsabs=0)[0]) - 0.5 * z * z
        expected = rest - 0.5 * math.log(2 * math.pi)
        assert _log_h(np.array([z]))[0] == pytest.approx(expected, rel=1e-7)
    assert np.isfinite(_log_h(np.array([-1e3, -1e6]))).all()


def mixture_of_two() -> LogImprovement:
    members = tuple(Gaussian.condition(fit(ROWS, OUTCOMES, kind), ROWS, OUTCOMES) for kind in KINDS)
    rough = Fit("matern", np.array([-0.3, 0.2, 0.8, 0.4, -4.0]), 0.0)
    limit = Gaussian.condition(rough, ROWS, ROWS[:, 2])
    return LogImprovement(members, (OUTCOMES.min(),) * 2, ((limit, 0.4),))


def test_the_acquisitions_slope_is_right() -> None:
    acquisition = mixture_of_two()
    for row in ASKED:
        value, slope = acquisition.slope(row)
        assert value == pytest.approx(acquisition.at(row[None])[0])
        found = optimize.approx_fprime(row, lambda r: float(acquisition.at(r[None])[0]), 1e-7)
        np.testing.assert_allclose(slope, found, rtol=2e-3, atol=2e-3)


@pytest.mark.filterwarnings("ignore")  # PyTorch's and GPyTorch's own deprecations, at import
def test_botorch_gives_the_same_posterior_and_log_improvement() -> None:
    torch = pytest.importorskip("torch")
    from botorch.acquisition import LogExpectedImprovement  # noqa: PLC0415

    from models.optimization.bayes.hypervolume import _model  # noqa: PLC0415

    one = Fit("matern", np.array([-0.3, 0.2, 0.8, 0.4, -6.0]), 0.0)
    ours = Gaussian.condition(one, ROWS, OUTCOMES)
    theirs = _model(one, ROWS, OUTCOMES)
    theirs.mean_module.initialize(constant=ours.centre)
    places = torch.as_tensor(ASKED)
    posterior = theirs.posterior(places)
    mean, deviation = ours.at(ASKED)
    np.testing.assert_allclose(posterior.mean.detach().numpy()[:, 0], mean, atol=1e-6)
    np.testing.assert_allclose(posterior.variance.detach().sqrt().numpy()[:, 0], deviation,
                               atol=1e-5)  # fmt: skip
    best = float(OUTCOMES.min())
    acquisition = LogExpectedImprovement(theirs, best, maximize=False)(places[:, None])
    mine = LogImprovement((ours,), (best,)).at(ASKED)
    np.testing.assert_allclose(acquisition.detach().numpy(), mine, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("bend", BENDS)
def test_bending_is_yeo_and_johnsons_and_goes_back(bend: float) -> None:
    values = np.random.default_rng(2).lognormal(size=40)
    warp = Warp.fit(values, bend)
    plain = (values - values.mean()) / values.std()
    theirs = stats.yeojohnson(plain, bend)
    np.testing.assert_allclose(warp.there(values), (theirs - theirs.mean()) / theirs.std())
    np.testing.assert_allclose(warp.back(warp.there(values)), values)


def test_the_jacobian_is_the_slope_of_the_bend() -> None:
    values = np.random.default_rng(3).lognormal(size=20)
    warp = Warp.fit(values, 0.0)
    step = 1e-6 * warp.spread
    slopes = (warp.there(values + step) - warp.there(values - step)) / (2 * step / warp.spread)
    assert warp.log_jacobian == pytest.approx(float(np.log(slopes).sum()), rel=1e-5)


def test_equal_outcomes_can_be_bent() -> None:
    assert np.isfinite(Warp.fit(np.full(5, 3.0), 0.0).there(np.full(5, 3.0))).all()


def test_what_is_on_its_way_is_believed() -> None:
    model = Gaussian.condition(fit(ROWS, OUTCOMES, "matern"), ROWS, OUTCOMES)
    sure = model.believing(ASKED[:1], OUTCOMES)
    assert sure.at(ASKED[:1])[1][0] < 0.2 * model.at(ASKED[:1])[1][0]
    np.testing.assert_allclose(sure.at(ASKED)[0], model.at(ASKED)[0], atol=0.02)
