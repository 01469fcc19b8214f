"""Streams as they are served: whatever rides along and whenever they were put away, same bits."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.anomaly.alarms import AlarmSettings
from models.anomaly.bocpd import Scale
from models.anomaly.bocpd_settings import BocpdSettings
from models.anomaly.fleet import FleetLayout, FleetSettings, by_member
from models.anomaly.isolation_stream import IsolationSettings
from models.anomaly.rrcf import ForestSettings
from models.anomaly.streams import AnomalyStreams, Detector, RegimeStreams
from models.errors import ArtifactError, InvalidColumnError, ModelError

DETECTORS: tuple[Detector, ...] = ("rrcf", "isolation_forest", "both")
KINDS = ["regime", "rrcf", "isolation_forest", "both", "fleet"]
ALARMS = AlarmSettings(epoch=16)


def streams_of(kind: str, dimensions: int = 2) -> Any:
    if kind == "regime":
        return RegimeStreams(BocpdSettings(hypotheses=16), ALARMS, dimensions=dimensions)
    detector: Any = kind
    return AnomalyStreams(
        dimensions,
        detector,
        forest=ForestSettings(trees=5, size=32, shingle=2),
        isolation=IsolationSettings(trees=5, samples=16, window=64, regrow=20),
        fleet=FleetSettings(window=5, lasting=2),
        roster=FleetLayout.even(dimensions, 1),
        alarms=ALARMS,
    )


def bits(answers: Any) -> list[bytes]:
    return [column.tobytes() for column in vars(answers).values()]


def part(answers: Any, rows: Any) -> list[bytes]:
    return [column[rows].tobytes() for column in vars(answers).values()]


def points(count: int, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 2))
    values[count // 2 :] += 6
    return values


@pytest.mark.parametrize("kind", KINDS)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=120), st.integers(1, 40))
@settings(deadline=None, max_examples=8)
def test_mixed_rows_answer_as_each_stream_alone(kind: str, order: list[int], cut: int) -> None:
    values, shares = points(len(order)), np.full(len(order), 0.01)
    together = streams_of(kind)
    slots = np.array([together.open(seed) for seed in range(4)])[order]
    for i in range(0, len(order), cut):
        told = together.advance(slots[i : i + cut], values[i : i + cut], shares[i : i + cut])
    for stream in set(order):
        alone = streams_of(kind)
        slot, own = alone.open(stream), np.flatnonzero(np.array(order) == stream)
        for row in own:
            answers = alone.advance(np.array([slot]), values[row : row + 1], 0.01)
        assert alone.encode(slot) == together.encode(stream)
        if own[-1] >= i:
            assert part(told, [own[-1] - i]) == bits(answers)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", [0, 1, 15, 40, 163, 299])
def test_a_stream_put_away_comes_back_and_goes_on_to_the_same_bits(kind: str, stop: int) -> None:
    values = points(300)
    whole = streams_of(kind)
    slot = whole.open(3)
    expected = whole.advance(np.full(300, slot), values, 0.02)
    other = streams_of(kind)
    other.open(9)
    begun = other.open(3)
    other.advance(np.full(stop, begun), values[:stop], 0.02)
    kept = other.encode(begun)
    other.close(begun)
    back = other.decode(kept)
    assert other.encode(back) == kept
    rest = other.advance(np.full(300 - stop, back), values[stop:], 0.02)
    assert bits(rest) == part(expected, slice(stop, None))
    assert other.encode(back) == whole.encode(slot)
    assert len(other) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_slot_that_is_used_again_remembers_nothing(kind: str) -> None:
    streams = streams_of(kind)
    fresh = streams.encode(streams.open(1))
    streams.advance(np.zeros(100, dtype=np.int64), points(100), 0.02)
    streams.close(0)
    assert streams.encode(streams.open(1)) == fresh


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("values", "shares"),
    [
        ([[1.0, np.nan]], 0.1),
        ([[1.0, np.inf]], 0.1),
        ([[1.0]], 0.1),
        ([[1.0, 2.0]] * 2, 0.1),
        ([[1.0, 2.0]], 1.5),
        ([[1.0, 2.0]], np.nan),
        ([["a", "b"]], 0.1),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(kind: str, values: Any, shares: Any) -> None:
    streams = streams_of(kind)
    slot = streams.open(1)
    streams.advance(np.full(80, slot), points(80), 0.01)
    before = streams.encode(slot)
    with pytest.raises(InvalidColumnError):
        streams.advance(np.array([slot]), np.array(values), shares)
    assert streams.encode(slot) == before
    with pytest.raises(ModelError, match="no stream has slot 7"):
        streams.advance(np.array([7]), np.ones((1, 2)), 0.1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 1.0, 1e308, -1e308, 5e-324])
def test_a_constant_of_any_size_is_answered_with_finite_numbers(kind: str, value: float) -> None:
    streams = streams_of(kind)
    slot = streams.open(1)
    answers = streams.advance(np.full(200, slot), np.full((200, 2), value), 1e-6)
    for name, column in vars(answers).items():
        assert np.isfinite(column).all(), name
    assert not streams.advance(np.array([slot]), np.full((1, 2), value), 1e-6).p_value < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_wild_values_are_answered_with_finite_numbers(kind: str) -> None:
    rng = np.random.default_rng(2)
    values = rng.choice([0.0, 1.0, -1.0, 1e308, -1e308, 1e-308], size=(400, 2))
    streams = streams_of(kind)
    answers = streams.advance(np.full(400, streams.open(1)), values, 1e-6)
    for name, column in vars(answers).items():
        assert np.isfinite(column).all(), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_snapshot_of_something_else_is_refused_and_opens_nothing(kind: str) -> None:
    streams = streams_of(kind)
    kept = bytearray(streams.encode(streams.open(1)))
    others = streams_of("regime" if kind != "regime" else "both")
    for target, bytes_ in ((others, bytes(kept)), (streams, bytes(kept[:-9])), (streams, b"")):
        before = len(target)
        with pytest.raises(ArtifactError):
            target.decode(bytes_)
        assert len(target) == before
    wider = streams_of(kind, dimensions=3)
    with pytest.raises(ArtifactError):
        wider.decode(bytes(kept))
    assert len(wider) == 0


def test_a_stream_may_be_given_its_scale() -> None:
    streams = RegimeStreams()
    slot = streams.open(1, Scale(np.array([5.0]), np.array([2.0])))
    first = streams.advance(np.array([slot]), np.array([[5.0]]), 0.1)
    assert not first.warming[0]


def test_an_unknown_detector_is_refused() -> None:
    wrong: Any = "forest"
    with pytest.raises(ModelError, match="rrcf, isolation_forest, both, fleet"):
        AnomalyStreams(1, wrong)


def test_a_fleet_needs_a_roster_of_its_dimensions() -> None:
    for roster in (None, FleetLayout.even(2, 3)):
        with pytest.raises(ModelError, match="a fleet needs one with 5 dimensions"):
            AnomalyStreams(5, "fleet", roster=roster)


def test_a_fleet_comes_back_only_to_its_own_roster() -> None:
    rosters = [FleetLayout.even(2, 3), FleetLayout.even(3, 2), FleetLayout(2, (1.0, 0.5, 0.5))]
    for roster in rosters:
        streams = AnomalyStreams(6, "fleet", roster=roster)
        kept = streams.encode(streams.open(1))
        for other in rosters:
            target = AnomalyStreams(6, "fleet", roster=other)
            if other == roster:
                target.decode(kept)
                continue
            with pytest.raises(ArtifactError, match="the snapshot is of the fleet"):
                target.decode(kept)


def test_a_fleet_alarms_on_a_fault_and_its_member_is_known() -> None:
    roster = FleetLayout.even(5, 3)
    values = np.random.default_rng(4).normal(size=(2_000, 15))
    values[-5:, 6:9] += 9.0
    streams = AnomalyStreams(15, "fleet", roster=roster)
    told = streams.advance(np.full(2_000, streams.open(1)), values, 1e-4)
    assert not told.is_anomaly[:-5].any()
    assert told.is_anomaly[-5:].any()
    assert (told.p_value[:60] == 1).all()
    members = by_member(told.attribution, 5)
    assert (members[-4:].argmax(axis=1) == 2).all()
    assert (members.max(axis=1) == told.score).all()


def test_a_spike_is_odd_to_every_detector_and_its_dimension_is_named() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(600, 2))
    values[-1, 1] = 40.0
    for kind in DETECTORS:
        streams = AnomalyStreams(2, kind)
        told = streams.advance(np.full(600, streams.open(1)), values, 1e-6)
        assert told.p_value[-1] < 0.05
        assert np.argmax(told.attribution[-1]) == 1
