"""A deployment is blamed for a change as often as it made one."""

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.quality import null_streams
from models.anomaly.bocpd_settings import BocpdSettings
from models.anomaly.gate import Gate, gate
from models.anomaly.streams import RegimeStreams
from models.errors import ModelError

BEFORE, AFTER, WINDOW = 120, 25, 10.0


def streams_after(shifts: np.ndarray, *, late: int = 0, seed: int = 1) -> RegimeStreams:
    """Let streams shift `late` observations after the deployment at time BEFORE."""
    rng = np.random.default_rng(seed)
    streams = RegimeStreams(BocpdSettings(expected_run=500))
    slots = np.array([streams.open(i) for i in range(len(shifts))])
    for when in range(BEFORE + AFTER):
        values = rng.normal(size=len(shifts)) + np.where(when >= BEFORE + late, shifts, 0)
        streams.advance(slots, values[:, None], 1e-6, when=float(when))
    return streams


@pytest.mark.parametrize("prior", [0.5, 0.2])
def test_the_probability_is_calibrated_on_simulated_deployments(prior: float) -> None:
    rng = np.random.default_rng(2)
    hit = rng.random(1_500) < prior
    streams = streams_after(np.where(hit, rng.normal(0, 2, 1_500), 0))
    told = np.array(
        [streams.gate(i, BEFORE, Gate(WINDOW, prior)).probability for i in range(1_500)]
    )
    edges = np.array([0.0, 0.1, 0.3, 0.7, 0.9, 1.0 + 1e-9])
    for low, high in pairwise(edges):
        own = (told >= low) & (told < high)
        if own.sum() >= 20:
            doubt = 3 * np.sqrt(0.25 / own.sum())
            assert abs(told[own].mean() - hit[own].mean()) < 0.1 + doubt, (low, own.sum())
    assert np.mean(np.square(told - hit)) < 0.5 * prior * (1 - prior)


def test_verdicts() -> None:
    streams = streams_after(np.array([8.0, 0.0]))
    assert streams.gate(0, BEFORE, Gate(WINDOW)).verdict == "changed"
    assert streams.gate(1, BEFORE, Gate(WINDOW)).verdict != "changed"
    assert streams.gate(1, BEFORE, Gate(WINDOW, prior=0.05)).verdict == "unchanged"
    late = streams.gate(0, BEFORE + 5.0, Gate(WINDOW))
    assert late.verdict == "changed before"
    assert late.before > 0.9
    assert late.probability < 0.1
    early = streams.gate(0, BEFORE - 40.0, Gate(WINDOW))
    assert early.probability < 0.1


def test_a_young_stream_blames_no_deployment_unless_its_values_part() -> None:
    streams, rng = RegimeStreams(), np.random.default_rng(17)
    noise = null_streams.autoregression(15, 300, rng)
    stepped = rng.standard_normal((15, 300)) + np.where(np.arange(15) < 8, 0, 12)[:, None]
    values = np.concatenate([noise, stepped], axis=1)
    slots = np.array([streams.open(i) for i in range(600)])
    for when, row in enumerate(values):
        streams.advance(slots, row[:, None], 1e-6, when=float(when))
    verdicts = np.array([streams.gate(i, 8.0, Gate(3.0)).verdict for i in range(600)])
    assert np.mean(verdicts[:300] == "undecided") > 0.9
    assert np.mean(verdicts[300:] == "changed") > 0.95


def test_nothing_is_said_before_an_observation_came() -> None:
    streams = streams_after(np.array([8.0]))
    answer = streams.gate(0, 1e6, Gate(WINDOW, prior=0.3))
    assert (answer.verdict, answer.probability, answer.observations) == ("undecided", 0.3, 0)
    fresh = RegimeStreams()
    assert fresh.gate(fresh.open(1), 0.0, Gate(WINDOW)).verdict == "undecided"


def test_a_later_change_does_not_hide_the_one_of_the_deployment() -> None:
    rng = np.random.default_rng(3)
    streams = RegimeStreams()
    slot = streams.open(1)
    values = rng.normal(size=(300, 1)) + np.repeat([0, 8, 20], 100)[:, None]
    streams.advance(np.full(300, slot), values, 1e-6, when=np.arange(300.0))
    assert streams.gate(slot, 100.0, Gate(WINDOW)).verdict == "changed"
    assert streams.gate(slot, 200.0, Gate(WINDOW)).verdict == "changed"
    assert streams.gate(slot, 150.0, Gate(WINDOW)).verdict == "unchanged"


def test_judging_leaves_no_trace() -> None:
    streams = streams_after(np.array([3.0]))
    before = streams.encode(0)
    assert gate(streams.bank, 0, BEFORE, Gate(WINDOW)) == streams.gate(0, BEFORE, Gate(WINDOW))
    assert streams.encode(0) == before


def test_settings_out_of_range_are_refused() -> None:
    for window, prior in ((-1.0, 0.5), (float("nan"), 0.5), (1.0, 0.0), (1.0, 1.0)):
        with pytest.raises(ModelError):
            Gate(window, prior)
    with pytest.raises(ModelError, match="slot 4"):
        gate(RegimeStreams().bank, 4, 0.0, Gate(1.0))
