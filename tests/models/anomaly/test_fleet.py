"""A fleet: the member at fault stands out, and what is brief or restless counts for less."""

import numpy as np
import pytest

from models.anomaly.fleet import Fleet, FleetScores, FleetSettings
from models.errors import ArtifactError, InvalidColumnError, ModelError
from models.protocols import FloatArray

MEMBERS, METRICS, MINUTES = 6, 4, 300
QUIET = np.random.default_rng(1).normal(size=(MINUTES, MEMBERS, METRICS)) + 10


def followed(values: FloatArray, fleet: Fleet | None = None) -> FloatArray:
    """Give the scores of all minutes: (minutes, members)."""
    fleet = fleet or Fleet(*values.shape[1:])
    return np.array([fleet.advance(minute).score for minute in values])


def shifted(minutes: slice, member: int, by: float = 6.0) -> FloatArray:
    values = QUIET.copy()
    values[minutes, member, :2] += by
    return values


def test_the_member_at_fault_scores_highest() -> None:
    scores = followed(shifted(slice(200, 204), 2))
    assert (scores[201:204].argmax(axis=1) == 2).all()
    assert scores[201:204, 2].min() > np.quantile(followed(QUIET), 0.999)


def test_it_finds_a_fault_a_few_minutes_after_it_began() -> None:
    scores = followed(shifted(slice(4, 8), 3))
    assert (scores[5:8].argmax(axis=1) == 3).all()


def test_a_single_odd_minute_is_no_fault_unless_one_is_enough() -> None:
    spike = shifted(slice(200, 201), 2, by=50.0)
    at_once = followed(spike, Fleet(MEMBERS, METRICS, FleetSettings(lasting=1)))
    assert at_once[200].argmax() == 2
    assert followed(spike)[200:202, 2].max() < at_once[200, 2] / 4


def test_a_swing_from_one_side_to_the_other_does_not_last() -> None:
    swing = shifted(slice(200, 201), 2)
    swing[201, 2, :2] -= 6.0
    scored = Fleet(MEMBERS, METRICS)
    followed(swing[:201], scored)
    assert (scored.advance(swing[201]).attribution[2, :2] == 0).all()


def test_nothing_is_judged_by_what_came_after() -> None:
    whole = followed(shifted(slice(200, 204), 2))
    assert followed(shifted(slice(200, 204), 2)[:202]).tobytes() == whole[:202].tobytes()


def test_the_odd_metric_says_most_and_all_add_up() -> None:
    fleet = Fleet(MEMBERS, METRICS)
    values = QUIET.copy()
    values[200:203, 2, 3] += 9.0
    followed(values[:201], fleet)
    answer = fleet.advance(values[201])
    assert isinstance(answer, FleetScores)
    assert answer.attribution.argmax() == 2 * METRICS + 3
    assert answer.attribution.sum(axis=1) == pytest.approx(answer.score)


def test_a_restless_metric_counts_for_less_in_the_member_where_it_is_so() -> None:
    values = QUIET.copy()
    values[:, 0, 0] += 20 * np.random.default_rng(2).normal(size=MINUTES)
    fleet = Fleet(MEMBERS, METRICS)
    followed(values[:200], fleet)
    for minute in values[200:202]:
        said = fleet.advance(np.full_like(minute, 10.0) + 8.0 * (np.arange(METRICS) == 0))
    assert said.attribution[0, 0] < said.attribution[1:, 0].min()


def test_a_member_of_few_minutes_is_judged_by_the_noise_of_the_fleet() -> None:
    """Its metric has hardly moved yet, so by its own noise the first move would be a wonder."""
    values = QUIET[:20].copy()
    values[:18, 0, 0] = 10.0 + 0.01 * (QUIET[:18, 0, 0] - 10)
    values[18:, 0, 0] = 11.0
    own, shared = (Fleet(MEMBERS, METRICS, FleetSettings(prior=p)) for p in (1e-3, 60.0))
    for minute in values:
        by_own, by_fleet = (fleet.advance(minute).attribution[0, 0] for fleet in (own, shared))
    assert by_own > 3 * by_fleet


def test_metrics_of_one_quantity_may_share_a_weight() -> None:
    double = np.concatenate([QUIET, QUIET[:, :, :1]], axis=2)
    weights = np.array([0.5, 1, 1, 1, 0.5])
    shared = followed(double, Fleet(MEMBERS, METRICS + 1, weights=weights))
    assert shared == pytest.approx(followed(QUIET))


def test_the_unit_of_a_metric_does_not_matter() -> None:
    scaled = (QUIET - 10) * [1.0, 1e-6, 1e6, 10.0]
    assert followed(scaled) == pytest.approx(followed(QUIET - 10), rel=1e-6)


def test_constants_and_huge_values_give_finite_scores() -> None:
    constant = np.full((40, MEMBERS, METRICS), 3.0)
    assert (followed(constant) == 0).all()
    constant[20:] = 1e300
    assert np.isfinite(followed(constant)).all()


def test_the_noise_of_long_ago_is_forgotten() -> None:
    calm = QUIET.copy()
    calm[:150] = 10 + 30 * (calm[:150] - 10)
    calm[290:292, 2, 0] += 8.0
    short = Fleet(MEMBERS, METRICS, FleetSettings(memory=30))
    assert followed(calm, short)[291, 2] > 1.5 * followed(calm)[291, 2]


def test_the_first_minutes_only_teach() -> None:
    scores = followed(QUIET, Fleet(MEMBERS, METRICS, FleetSettings(warmup=10, lasting=1)))
    assert (scores[:10] == 0).all()
    assert (scores[10:] > 0).all()


def test_taken_up_again_it_goes_on_to_the_same_bits() -> None:
    weights = np.array([0.5, 0.5, 1, 2])
    for stop in (0, 1, 2, 7, 40):
        fleet = Fleet(MEMBERS, METRICS, FleetSettings(window=9, lasting=3), weights=weights)
        followed(QUIET[:stop], fleet)
        again = Fleet.decode(fleet.encode())
        assert (again.encode(), again.nbytes()) == (fleet.encode(), fleet.nbytes())
        rest = QUIET[stop : stop + 50]
        assert followed(rest, again).tobytes() == followed(rest, fleet).tobytes()


def test_a_refused_observation_leaves_no_trace() -> None:
    fleet = Fleet(MEMBERS, METRICS)
    followed(QUIET[:20], fleet)
    before, lost = fleet.encode(), QUIET[20].copy()
    lost[3, 1] = np.nan
    for wrong in (lost, QUIET[20, :-1], QUIET[20, :, :-1]):
        with pytest.raises(InvalidColumnError):
            fleet.advance(wrong)
    assert fleet.encode() == before


def test_what_makes_no_fleet_is_refused() -> None:
    for members, metrics in ((0, 1), (1, 0)):
        with pytest.raises(ModelError, match="one or more"):
            Fleet(members, metrics)
    for weights in (np.ones(2), np.array([1.0, 0, 1, 1]), np.array([1.0, np.nan, 1, 1])):
        with pytest.raises(ModelError, match="give 4 numbers above 0"):
            Fleet(MEMBERS, METRICS, weights=weights)


@pytest.mark.parametrize("name", ["window", "prior", "lasting", "warmup", "memory"])
def test_settings_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=name):
        FleetSettings(**{name: 0})


def test_bytes_of_something_else_are_refused() -> None:
    for wrong in (b"nothing", Fleet(1, 1).encode()[:-1]):
        with pytest.raises(ArtifactError):
            Fleet.decode(wrong)
