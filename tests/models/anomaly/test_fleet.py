"""A fleet: the member at fault stands out, and what is brief or restless counts for less."""

import numpy as np
import pytest

from models.anomaly.fleet import Fleet, FleetLayout, FleetScores, FleetSettings, by_member
from models.elementwise import log
from models.errors import ArtifactError, InvalidColumnError, ModelError
from models.protocols import FloatArray

MEMBERS, METRICS, MINUTES = 6, 4, 300
ROSTER = FleetLayout.even(MEMBERS, METRICS)
QUIET = np.random.default_rng(1).normal(size=(MINUTES, MEMBERS, METRICS)) + 10


def followed(values: FloatArray, fleet: Fleet | None = None) -> FloatArray:
    """Give the members' scores of all minutes: (minutes, members)."""
    minutes, members, metrics = values.shape
    fleet = fleet or Fleet(FleetLayout.even(members, metrics))
    return by_member(fleet.advance(values.reshape(minutes, members * metrics)).attribution, members)


def said(fleet: Fleet, minute: FloatArray) -> FloatArray:
    """Give what each member's metrics say of one minute: (members, metrics)."""
    return fleet.advance(minute.reshape(1, -1)).attribution.reshape(minute.shape)


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
    at_once = followed(spike, Fleet(ROSTER, FleetSettings(lasting=1)))
    assert at_once[200].argmax() == 2
    assert followed(spike)[200:202, 2].max() < at_once[200, 2] / 4


def test_a_swing_from_one_side_to_the_other_does_not_last() -> None:
    swing = shifted(slice(200, 201), 2)
    swing[201, 2, :2] -= 6.0
    scored = Fleet(ROSTER)
    followed(swing[:201], scored)
    assert (said(scored, swing[201])[2, :2] == 0).all()


def test_nothing_is_judged_by_what_came_after() -> None:
    whole = followed(shifted(slice(200, 204), 2))
    assert followed(shifted(slice(200, 204), 2)[:202]).tobytes() == whole[:202].tobytes()


def test_the_odd_metric_says_most_and_all_add_up() -> None:
    fleet = Fleet(ROSTER)
    values = QUIET.copy()
    values[200:203, 2, 3] += 9.0
    followed(values[:201], fleet)
    answer = fleet.advance(values[201:203].reshape(2, -1))
    assert isinstance(answer, FleetScores)
    assert (answer.attribution.argmax(axis=1) == 2 * METRICS + 3).all()
    assert (by_member(answer.attribution, MEMBERS).argmax(axis=1) == 2).all()
    assert answer.attribution[:, 8:12].sum(axis=1) == pytest.approx(answer.score)


def test_a_restless_metric_counts_for_less_in_the_member_where_it_is_so() -> None:
    values = QUIET.copy()
    values[:, 0, 0] += 20 * np.random.default_rng(2).normal(size=MINUTES)
    fleet = Fleet(ROSTER)
    followed(values[:200], fleet)
    for minute in values[200:202]:
        parts = said(fleet, np.full_like(minute, 10.0) + 8.0 * (np.arange(METRICS) == 0))
    assert parts[0, 0] < parts[1:, 0].min()


def test_a_member_of_few_minutes_is_judged_by_the_noise_of_the_fleet() -> None:
    """Its metric has hardly moved yet, so by its own noise the first move would be a wonder."""
    values = QUIET[:20].copy()
    values[:18, 0, 0] = 10.0 + 0.01 * (QUIET[:18, 0, 0] - 10)
    values[18:, 0, 0] = 11.0
    own, shared = (Fleet(ROSTER, FleetSettings(prior=p)) for p in (1e-3, 60.0))
    for minute in values:
        by_own, by_fleet = (said(fleet, minute)[0, 0] for fleet in (own, shared))
    assert by_own > 3 * by_fleet


def test_metrics_of_one_quantity_may_share_a_weight() -> None:
    double = np.concatenate([QUIET, QUIET[:, :, :1]], axis=2)
    shared = followed(double, Fleet(FleetLayout(MEMBERS, (0.5, 1.0, 1.0, 1.0, 0.5))))
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
    short = Fleet(ROSTER, FleetSettings(memory=30))
    assert followed(calm, short)[291, 2] > 1.5 * followed(calm)[291, 2]


def test_the_first_minutes_only_teach() -> None:
    scores = followed(QUIET, Fleet(ROSTER, FleetSettings(warmup=10, lasting=1)))
    assert (scores[:10] == 0).all()
    assert (scores[10:] > 0).all()


def by_definition(values: FloatArray, roster: FleetLayout, settings: FleetSettings) -> FloatArray:
    """Follow a fleet minute by minute in NumPy: (minutes, members * metrics)."""
    n = len(values)
    off, units, root_noise = (
        np.zeros_like(values),
        np.zeros_like(values),
        np.zeros(values.shape[1:]),
    )
    for now in range(n):
        if now:
            off[now] = values[now] - np.median(values[max(0, now - settings.window) : now], axis=0)
        learnt = min(max(now - 1, 0), settings.memory)
        if now >= settings.warmup:
            usual = settings.prior * root_noise.mean(axis=0)
            root = (learnt * root_noise + usual) / (learnt + settings.prior)
            units[now] = off[now] / np.maximum(root**2, 1e-9 * np.abs(values[now]))
        if now:
            share = 1 / min(learnt + 1, settings.memory)
            root_noise += share * (np.sqrt(np.abs(off[now])) - root_noise)
    before = np.concatenate([np.zeros((settings.lasting - 1, *values.shape[1:])), units])
    last = np.stack([before[i : i + n] for i in range(settings.lasting)])
    lasting = np.maximum(last.min(axis=0), 0) - np.minimum(last.max(axis=0), 0)
    return (np.array(roster.weights) * log(1 + lasting**2)).reshape(n, -1)


@pytest.mark.parametrize(("window", "lasting", "memory"), [(15, 2, 1_440), (16, 3, 40), (2, 1, 2)])
def test_it_computes_what_it_says(window: int, lasting: int, memory: int) -> None:
    settings = FleetSettings(window=window, lasting=lasting, memory=memory)
    roster = FleetLayout(MEMBERS, (0.5, 0.5, 1.0, 2.0))
    values = np.round(shifted(slice(200, 204), 2), 1)  # so that there are ties
    values[::7, 1] = -values[::7, 1]
    given = values.reshape(MINUTES, -1)
    expected = by_definition(values, roster, settings)
    assert (Fleet(roster, settings).advance(given).attribution == expected).all()


def test_points_one_by_one_and_all_at_once_end_at_the_same_bits() -> None:
    values = shifted(slice(200, 204), 2).reshape(MINUTES, -1)
    values[::9] = -0.0
    at_once, singly = Fleet(ROSTER), Fleet(ROSTER)
    whole = at_once.advance(values)
    parts = [singly.advance(values[i : i + 1]) for i in range(MINUTES)]
    for i, column in enumerate(whole):
        assert np.concatenate([part[i] for part in parts]).tobytes() == column.tobytes()
    assert singly.encode() == at_once.encode()


def test_taken_up_again_it_goes_on_to_the_same_bits() -> None:
    roster = FleetLayout(MEMBERS, (0.5, 0.5, 1.0, 2.0))
    for stop in (0, 1, 2, 7, 40):
        fleet = Fleet(roster, FleetSettings(window=9, lasting=3))
        followed(QUIET[:stop], fleet)
        again = Fleet.decode(fleet.encode())
        assert again.roster == roster
        assert (again.encode(), again.nbytes()) == (fleet.encode(), fleet.nbytes())
        rest = QUIET[stop : stop + 50]
        assert followed(rest, again).tobytes() == followed(rest, fleet).tobytes()


def test_a_refused_point_leaves_no_trace() -> None:
    fleet = Fleet(ROSTER)
    followed(QUIET[:20], fleet)
    before, rest = fleet.encode(), QUIET[20:22].reshape(2, -1)
    lost = rest.copy()
    lost[1, 5] = np.nan
    for wrong in (lost, rest[:, :-1], rest[0]):
        with pytest.raises(InvalidColumnError):
            fleet.advance(wrong)
    assert fleet.encode() == before


def test_what_makes_no_fleet_is_refused() -> None:
    for members, metrics in ((0, 1), (1, 0)):
        with pytest.raises(ModelError, match="at least one of each"):
            FleetLayout.even(members, metrics)
    for wrong in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ModelError, match="numbers above 0"):
            FleetLayout(MEMBERS, (1.0, wrong))


@pytest.mark.parametrize("name", ["window", "prior", "lasting", "warmup", "memory"])
def test_settings_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=name):
        FleetSettings(**{name: 0})


def test_bytes_of_something_else_are_refused() -> None:
    for wrong in (b"nothing", Fleet(FleetLayout.even(1, 1)).encode()[:-1]):
        with pytest.raises(ArtifactError):
            Fleet.decode(wrong)
