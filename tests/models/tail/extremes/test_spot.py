"""Live thresholds: alarms as rare as asked, memory bounded, and resumed to the bit."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.errors import ArtifactError, TrainingDataError
from models.tail.extremes.dspot import Dspot
from models.tail.extremes.spot import Spot, SpotSettings

Either = Spot | Dspot


def streams() -> list[Either]:
    first = np.random.default_rng(1).exponential(size=2_000)
    return [Spot.started(first), Dspot.started(first, 20)]


@pytest.mark.parametrize("law", [stats.expon(), stats.norm(), stats.t(4)])
def test_ordinary_values_raise_alarms_as_rarely_as_asked(law: Any) -> None:
    rng = np.random.default_rng(3)
    spot = Spot.started(law.rvs(size=2_000, random_state=rng), SpotSettings(risk=1e-3))
    alarms = sum(spot.observe(v).alarm for v in law.rvs(size=20_000, random_state=rng).tolist())
    assert 10 <= alarms <= 80  # 20 are due, and SPOT is known to raise some more
    assert 5e-4 < law.sf(spot.level) < 5e-3


@pytest.mark.parametrize("seed", range(4))
def test_the_level_is_that_of_scipys_fit_to_all_peaks_so_far(seed: int) -> None:
    """Formula 1 of the paper, z = t + scale / shape ((q n / peaks)^-shape - 1), on scipy's fit."""
    values = np.random.default_rng(seed).standard_t(5, 6_000)
    spot = Spot.started(values[:2_000], SpotSettings(risk=1e-5))
    seen = list(values[:2_000])
    seen += [value for value in values[2_000:].tolist() if not spot.observe(value).alarm]
    threshold = float(np.quantile(values[:2_000], 0.98))
    peaks = np.array([value - threshold for value in seen if value > threshold])
    shape, _, scale = stats.genpareto.fit(peaks, floc=0)
    odds = 1e-5 * len(seen) / peaks.size
    assert (spot.observed, spot.exceeded) == (len(seen), peaks.size)
    assert spot.level == pytest.approx(threshold + scale / shape * (odds**-shape - 1), rel=2e-3)


def test_on_a_level_stream_dspot_judges_as_spot_does_about_the_mean() -> None:
    rng = np.random.default_rng(8)
    first, later = rng.exponential(size=4_000), rng.exponential(size=2_000)
    settled = SpotSettings(risk=1e-4)
    spot, dspot = Spot.started(first, settled), Dspot.started(first, 1_000, settled)
    levels = [(spot.observe(v).level, dspot.observe(v).level) for v in later.tolist()]
    one, other = np.array(levels[-500:]).T
    assert other == pytest.approx(one, rel=0.2)


def test_drift_that_swamps_spot_leaves_dspot_at_its_rate() -> None:
    rng = np.random.default_rng(4)
    drift = np.linspace(0, 40, 20_000)
    values = (drift + rng.normal(size=20_000)).tolist()
    first = rng.normal(size=2_000)
    spot = Spot.started(first, SpotSettings(risk=1e-3))
    dspot = Dspot.started(first, 20, SpotSettings(risk=1e-3))
    alarms = [sum(each.observe(value).alarm for value in values) for each in (spot, dspot)]
    assert alarms[0] > 1_000
    assert 10 <= alarms[1] <= 80  # 20 are due


@pytest.mark.parametrize("place", [0, 1])
def test_an_outlier_is_an_alarm_and_teaches_nothing(place: int) -> None:
    stream = streams()[place]
    before = stream.encode()
    for outlier in (1e6, math.inf):
        assert stream.observe(outlier).alarm
    assert stream.encode() == before


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("gap", [math.nan, -math.inf])
def test_a_gap_is_no_alarm_and_changes_nothing(place: int, gap: float) -> None:
    stream = streams()[place]
    before = stream.encode()
    verdict = stream.observe(gap)
    assert (verdict.alarm, verdict.peak) == (False, False)
    assert stream.encode() == before


@given(
    place=st.integers(0, 1),
    values=st.lists(st.floats(-5, 30) | st.just(math.nan), min_size=1, max_size=80),
    cut=st.integers(0, 80),
)
@settings(max_examples=40, deadline=None)
def test_a_stream_resumes_to_the_bit(place: int, values: list[float], cut: int) -> None:
    stream, twin = streams()[place], streams()[place]
    for value in values[:cut]:
        stream.observe(value)
        twin.observe(value)
    resumed = type(twin).decode(twin.encode())
    after = [(stream.observe(v), resumed.observe(v)) for v in values[cut:]]
    assert all(one == other for one, other in after)
    assert stream.encode() == resumed.encode()


def test_memory_is_bounded_and_the_latest_peaks_are_kept() -> None:
    rng = np.random.default_rng(5)
    spot = Spot.started(rng.exponential(size=5_000), SpotSettings(most_peaks=60))
    assert spot.exceeded == 100
    size = len(spot.encode())
    for value in rng.exponential(size=5_000).tolist():
        spot.observe(value)
    assert len(spot.encode()) == size


def test_a_value_is_judged_by_the_level_before_it() -> None:
    for stream in streams():
        level = stream.level
        assert stream.observe(level - 1e-6).level == pytest.approx(level)


def test_what_cannot_start_is_refused_in_words() -> None:
    with pytest.raises(TrainingDataError, match="at least 20 must"):
        Spot.started(np.arange(100.0))
    with pytest.raises(TrainingDataError, match="constant"):
        Spot.started(np.ones(5_000))
    with pytest.raises(TrainingDataError, match="depth of 0"):
        Dspot.started(np.arange(5_000.0), 0)
    with pytest.raises(TrainingDataError, match="impossible"):
        SpotSettings(risk=0.5)


def test_another_kinds_state_is_refused() -> None:
    spot, dspot = streams()
    with pytest.raises(ArtifactError, match="kind"):
        Spot.decode(dspot.encode())
    with pytest.raises(ArtifactError, match="damaged"):
        Dspot.decode(spot.encode()[:-3])
