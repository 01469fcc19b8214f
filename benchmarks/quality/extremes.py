"""Extreme value fits beside those printed in Coles, An Introduction to Statistical Modeling (2001).

Each figure is held to half a unit of its last printed digit, with 2 % of that to spare: Coles took
his covariances from a numerical curvature. The ends of his profile intervals are read off a plot,
so they are held to a whole unit. His interval of Port Pirie's 10-year level, 4.19 to 4.45, has the
lower end of the delta method and the upper end of the profile: each is compared with its own.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import brentq, minimize_scalar
from scipy.signal import lfilter
from scipy.special import ndtri
from scipy.stats import chi2, genpareto

from benchmarks.quality.row import Row
from models.tail.extremes.block_answer import BlockQuestion, answer_blocks
from models.tail.extremes.excesses import excesses_over, observed_values
from models.tail.extremes.gev import GevFit
from models.tail.extremes.gev_fit import fit_gev
from models.tail.extremes.gev_intervals import block_return_level, gev_interval
from models.tail.extremes.gpd import GpdFit
from models.tail.extremes.gpd_fit import fit_gpds
from models.tail.extremes.profile_intervals import Estimate, intervals
from models.tail.extremes.quantity import SHAPE, return_level

# So many series of a week of minutes, whose largest values of an hour are fitted.
SERIES, MINUTES, BLOCK, BLOCKS = 400, 7 * 1440, 60, 100
LAWS = {"normal": stats.norm(), "exponential": stats.expon(), "Student 4": stats.t(4)}
DOUBT = 3.0  # standard errors
MOST_SHORT = 0.02  # of 95 %, for the few blocks that a week has
MOST_LEFT_OUT, MOST_DEPENDENT = 0.06, 0.02

COLES = "Coles 2001"
PLOT = "Coles 2001, read off a plot"
SCIPY = "profiled with scipy"
HALF, WHOLE = 0.51, 1.0  # units of the last printed digit
CONFIDENCE = 0.95
YEARS = 100


def run(data_dir: Path) -> list[Row]:
    """Measure everything; takes about a minute, of which the coverage takes all but one."""
    folder = data_dir / "extremes"
    reference = json.loads((folder / "reference.json").read_text())
    return [
        *rain(_column(folder, "rain", "Rainfall"), reference["rain_sw_england"]["published"]),
        *dow_jones(_column(folder, "dowjones", "Index"), reference["dowjones"]["published"]),
        *port_pirie(_column(folder, "portpirie", "SeaLevel"), reference["portpirie"]["published"]),
        *block_coverage(),
        *dependent_blocks(),
    ]


def block_coverage() -> Iterator[Row]:
    """Count how often the interval of the 100-block level, as it is served, holds the true one.

    Of the series that get an interval; two tests take one in forty for one whose maxima depend.
    """
    for name, law in LAWS.items():
        truth = float(law.ppf((1 - 1 / BLOCKS) ** (1 / BLOCK)))
        found = [_level(law.rvs(MINUTES, random_state=seed)) for seed in range(SERIES)]
        claimed = [level for level in found if math.isfinite(level.lower)]
        share = float(np.mean([level.lower <= truth <= level.upper for level in claimed]))
        doubt = DOUBT * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / len(claimed))
        met = CONFIDENCE - MOST_SHORT - doubt <= share <= CONFIDENCE + doubt
        yield Row(
            f"block maxima, {name}, coverage", share, CONFIDENCE, f"{len(claimed)} series", met
        )
        left_out = 1 - len(claimed) / SERIES
        met = left_out <= MOST_LEFT_OUT
        yield Row(f"block maxima, {name}, no interval", left_out, MOST_LEFT_OUT, "at most", met)


def dependent_blocks() -> Iterator[Row]:
    """Count how often an interval is claimed where the hours' maxima follow each other."""
    for name, draw in DEPENDENT.items():
        found = [_level(draw(np.random.default_rng(seed))) for seed in range(SERIES)]
        share = float(np.mean([math.isfinite(level.lower) for level in found]))
        met = share <= MOST_DEPENDENT
        yield Row(f"block maxima, {name}, intervals", share, MOST_DEPENDENT, "at most", met)


def _time_of_day(rng: np.random.Generator) -> Any:
    daily = 0.5 * np.sin(2 * np.pi * np.arange(MINUTES) / 1440)
    return np.exp(1 + daily + 0.3 * rng.normal(size=MINUTES))


def _long_memory(rng: np.random.Generator) -> Any:
    return lfilter([1], [1, -0.99], rng.normal(size=2 * MINUTES))[MINUTES:]


DEPENDENT = {"time of day": _time_of_day, "memory of 100 minutes": _long_memory}


def _level(values: Any) -> Estimate:
    asked = BlockQuestion(values, BLOCK, confidence=CONFIDENCE, levels=(), return_periods=(BLOCKS,))
    (level,) = answer_blocks(asked).return_levels
    return level


def _fit(values: Any, threshold: float) -> GpdFit:
    return fit_gpds([excesses_over(observed_values(values), threshold)])[0]


def rain(values: Any, published: dict[str, Any]) -> Iterator[Row]:
    fit = _fit(values, published["u"])
    yield from _gpd_rows("rain", fit, published)
    yield _row("rain, log-likelihood", fit.log_likelihood, published["loglik"], 1)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        found, printed = float(fit.covariance[i, j]), published["var"][i][j]
        yield _row(f"rain, covariance {i}{j}", found, printed, 4)
    days = published["obs_per_year"] * YEARS
    # As in the book, the rate of wet days counts as known.
    asked = [return_level(days), SHAPE]
    level, shape = intervals([fit], [asked], [CONFIDENCE], rate_known=True)[0]
    yield _row("rain, 100-year level", level.value, published["return_level_100y"], 1)
    lower, upper = _level_profile(fit, days)
    yield _close("rain, 100-year level, lower end", level.lower, lower)
    yield _close("rain, 100-year level, upper end", level.upper, upper)
    lower, upper = _shape_profile(fit)
    yield _close("rain, shape, lower end", shape.lower, lower)
    yield _close("rain, shape, upper end", shape.upper, upper)


def dow_jones(index: Any, published: dict[str, Any]) -> Iterator[Row]:
    fit = _fit(100 * np.diff(np.log(index)), published["u"])
    yield from _gpd_rows("Dow Jones", fit, published, decimals=3)
    for name, found, printed in zip(
        ("scale", "shape"), fit.standard_errors, published["se"], strict=True
    ):
        yield _row(f"Dow Jones, error of the {name}", found, printed, 3)


def port_pirie(maxima: Any, published: dict[str, Any]) -> Iterator[Row]:
    fit = fit_gev(maxima)
    yield _row("Port Pirie, location", fit.location, published["gev_mu"], 2)
    yield _row("Port Pirie, scale", fit.scale, published["gev_sigma"], 3)
    yield _row("Port Pirie, shape", fit.shape, published["gev_xi"], 3)
    yield _row("Port Pirie, log-likelihood", fit.log_likelihood, published["loglik"], 2)
    for i, j, decimals in ((0, 0, 6), (0, 1, 6), (0, 2, 5), (1, 1, 6), (1, 2, 6), (2, 2, 5)):
        found, printed = float(fit.covariance[i, j]), published["cov"][i][j]
        yield _row(f"Port Pirie, covariance {i}{j}", found, printed, decimals)
    ten, hundred = (
        gev_interval(fit, block_return_level(years), CONFIDENCE) for years in (10, YEARS)
    )
    yield _row("Port Pirie, 10-year level", ten.value, published["rl10"], 2)
    lower, upper = published["rl10_ci"]
    yield _row("Port Pirie, 10-year level, delta, lower end", _delta_lower(fit, 10), lower, 2)
    yield _row("Port Pirie, 10-year level, profile, upper end", ten.upper, upper, 2)
    yield _row("Port Pirie, 100-year level", hundred.value, published["rl100"], 2)
    lower, upper = published["rl100_profile_ci"]
    yield _plotted("Port Pirie, 100-year level, profile, lower end", hundred.lower, lower)
    yield _plotted("Port Pirie, 100-year level, profile, upper end", hundred.upper, upper)


def _gpd_rows(
    name: str, fit: GpdFit, published: dict[str, Any], decimals: int = 2
) -> Iterator[Row]:
    yield _row(f"{name}, exceedances", fit.sample.exceeded, published["n_exc"], 0)
    yield _row(f"{name}, scale", fit.scale, published["scale"], decimals)
    yield _row(f"{name}, shape", fit.shape, published["shape"], 3)


def _row(what: str, ours: float, printed: float, decimals: int) -> Row:
    met = abs(ours - printed) <= HALF * 10.0**-decimals
    return Row(what, ours, printed, COLES, met)


def _plotted(what: str, ours: float, printed: float) -> Row:
    return Row(what, ours, printed, PLOT, abs(ours - printed) <= WHOLE * 0.01)


def _close(what: str, ours: float, reference: float) -> Row:
    return Row(what, ours, reference, SCIPY, math.isclose(ours, reference, rel_tol=1e-4))


def _column(folder: Path, name: str, column: str) -> Any:
    return pd.read_csv(folder / f"{name}.csv", encoding="utf-8-sig")[column].to_numpy(float)


def _delta_lower(fit: GevFit, years: int) -> float:
    best = np.array([fit.location, fit.scale, fit.shape])
    at = block_return_level(years)(best)
    error = math.sqrt(at.slope @ fit.covariance @ at.slope)
    return at.value - float(ndtri((1 + CONFIDENCE) / 2)) * error


def _level_profile(fit: GpdFit, observations: float) -> tuple[float, float]:
    odds = math.log(observations * fit.sample.excess.size / fit.sample.observed)

    def deviance(level: float) -> float:
        def loss(shape: float) -> float:
            scale = (level - fit.sample.threshold) * shape / math.expm1(shape * odds)
            return _loss(fit, scale, shape)

        found = minimize_scalar(loss, bounds=(-0.4, 1.5), method="bounded")
        return float(found.fun - chi2.ppf(CONFIDENCE, 1))

    return _ends(deviance, fit.sample.threshold + 20, 106.0, 400.0)


def _shape_profile(fit: GpdFit) -> tuple[float, float]:
    def deviance(shape: float) -> float:
        found = minimize_scalar(
            lambda scale: _loss(fit, scale, shape), bounds=(1, 30), method="bounded"
        )
        return float(found.fun - chi2.ppf(CONFIDENCE, 1))

    return _ends(deviance, -0.3, fit.shape, 1.2)


def _loss(fit: GpdFit, scale: float, shape: float) -> float:
    density = genpareto.logpdf(fit.sample.excess, shape, scale=scale).sum()
    return min(2 * (fit.log_likelihood - float(density)), 1e6)


def _ends(deviance: Any, low: float, middle: float, high: float) -> tuple[float, float]:
    return brentq(deviance, low, middle), brentq(deviance, middle, high)
