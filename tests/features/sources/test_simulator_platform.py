"""The platform as a source: the same bits however asked, and a truth that telemetry shows."""

import hashlib
import os
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.calendars.days import DAY, MINUTE
from features.sources.simulator.capacity import workers
from features.sources.simulator.day import telemetry_of_day
from features.sources.simulator.demand import requests
from features.sources.simulator.expectation import expected_rate
from features.sources.simulator.incidents import KINDS, Incident
from features.sources.simulator.platform import Platform
from features.sources.simulator.services import DEFAULT_SERVICES
from features.telemetry.columns import Telemetry

MONDAY = 1_772_409_600  # 2026-03-02 00:00 UTC
ENTITIES = tuple(service.name for service in DEFAULT_SERVICES)
SHARES = ("error_rate", "infra", "cpu", "memory")
LATENCIES = ("p50_ms", "p95_ms", "p99_ms", "p999_ms", "exemplars")


def forget() -> None:
    for cached in (telemetry_of_day, workers, requests, expected_rate):
        cached.cache_clear()


def assert_same_bits(one: Telemetry, other: Telemetry) -> None:
    for name, values in one.columns().items():
        assert values.dtype == other.columns()[name].dtype, name
        assert values.tobytes() == other.columns()[name].tobytes(), name


@given(
    entity=st.sampled_from(ENTITIES),
    first=st.integers(0, 4 * DAY),
    length=st.integers(0, 2 * DAY),
    fresh=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_a_minute_is_the_same_to_the_bit_in_any_range(
    entity: str, first: int, length: int, fresh: bool
) -> None:
    platform = Platform(3)
    start, stop = MONDAY + first, MONDAY + first + length
    whole = platform.minutes(entity, MONDAY, MONDAY + 6 * DAY)
    if fresh:
        forget()
    part = platform.minutes(entity, start, stop)
    assert part.ts.tolist() == list(range(-(-start // MINUTE) * MINUTE, stop, MINUTE))
    if len(part):
        assert_same_bits(part, whole.between(start, stop))


def test_days_asked_for_backwards_are_the_days_asked_for_forwards() -> None:
    def days(order: list[int]) -> list[Telemetry]:
        forget()
        at = {
            d: Platform(5).minutes("pricing", MONDAY + d * DAY, MONDAY + d * DAY + DAY)
            for d in order
        }
        return [at[d] for d in sorted(order)]

    for one, other in zip(days([0, 1, 2]), days([2, 1, 0]), strict=True):
        assert_same_bits(one, other)


def test_another_process_with_another_hash_seed_sees_the_same_bits() -> None:
    program = (
        "import hashlib; from features.sources.simulator.platform import Platform; "
        f"t = Platform(3).minutes('auth', {MONDAY}, {MONDAY + DAY}); "
        "print(hashlib.sha256(b''.join(c.tobytes() for c in t.columns().values())).hexdigest())"
    )
    theirs = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "12"},
        capture_output=True,
        text=True,
        check=True,
    )
    ours = Platform(3).minutes("auth", MONDAY, MONDAY + DAY)
    columns = b"".join(column.tobytes() for column in ours.columns().values())
    assert theirs.stdout.strip() == hashlib.sha256(columns).hexdigest()


def test_what_a_caller_does_to_its_arrays_is_not_seen_by_the_next() -> None:
    spoilt = Platform(3).minutes("auth", MONDAY, MONDAY + DAY)
    kept = spoilt.load.copy()
    spoilt.load[:] = -1
    np.testing.assert_array_equal(Platform(3).minutes("auth", MONDAY, MONDAY + DAY).load, kept)


def test_seeds_and_entities_make_different_noise() -> None:
    one, other = (Platform(seed).minutes("auth", MONDAY, MONDAY + DAY) for seed in (1, 2))
    for name in ("request_rate", "infra", "p95_ms", "exemplars"):
        assert (one.columns()[name] != other.columns()[name]).mean() > 0.9, name
    neighbour = Platform(1).minutes("risk-check", MONDAY, MONDAY + DAY)
    assert abs(np.corrcoef(one.infra, neighbour.infra)[0, 1]) < 0.5


@given(
    entity=st.sampled_from(ENTITIES),
    seed=st.integers(0, 2**63),
    day=st.integers(10_227, 21_900),  # 1998 to 2029
)
@settings(max_examples=25, deadline=None)
def test_every_value_is_finite_and_within_its_unit(entity: str, seed: int, day: int) -> None:
    minutes = Platform(seed).minutes(entity, day * DAY, (day + 1) * DAY)
    columns = minutes.columns()
    for name in SHARES:
        assert ((columns[name] >= 0) & (columns[name] <= 1)).all(), name
    for name in LATENCIES:
        assert (np.isfinite(columns[name]) & (columns[name] > 0)).all(), name
    for name in ("request_rate", "load", "queue_depth", "active_workers"):
        assert (np.isfinite(columns[name]) & (columns[name] >= 0)).all(), name
    tails = np.stack([columns[name] for name in LATENCIES[:4]])
    assert (np.diff(tails, axis=0) >= 0).all()
    assert set(np.unique(minutes.deploy)) <= {0, 1}


def test_live_is_the_latest_minute_that_is_over() -> None:
    platform = Platform(3)
    for now, expected in ((MONDAY + 600, 540), (MONDAY + 659.99, 540), (MONDAY + 660.0, 600)):
        minute = platform.live("default", now)
        assert minute.ts.tolist() == [MONDAY + expected]
        assert_same_bits(
            minute, platform.minutes("default", int(minute.ts[0]), int(minute.ts[0]) + 1)
        )


def test_clients_that_name_no_entity_find_one() -> None:
    assert "default" in Platform(0).entities
    assert len(Platform(0).entities) == 9


def test_an_unknown_entity_is_named_with_those_that_are_known() -> None:
    with pytest.raises(
        LookupError, match=r"there is no entity 'nobody'; the entities are: default, order"
    ):
        Platform(0).minutes("nobody", MONDAY, MONDAY + 60)


def test_two_services_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="have the same name"):
        Platform(0, (DEFAULT_SERVICES[0], DEFAULT_SERVICES[0]))


def test_a_platform_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(Platform(9))) == Platform(9)  # noqa: S301 - our own bytes


def test_ten_days_of_all_services_take_about_a_second() -> None:
    forget()
    began = time.process_time()
    for entity in ENTITIES:
        Platform(11).minutes(entity, MONDAY, MONDAY + 10 * DAY)
    assert time.process_time() - began < 10 * 10 / 60  # sixty days in ten seconds


def test_truth_says_what_the_columns_say() -> None:
    platform, stop = Platform(4), MONDAY + 21 * DAY
    for entity in ("order-gateway", "settlement"):
        minutes, truth = (
            platform.minutes(entity, MONDAY, stop),
            platform.truth(entity, MONDAY, stop),
        )
        labelled = np.zeros(len(minutes), dtype=np.bool_)
        for incident in truth.incidents:
            labelled |= (minutes.ts >= incident.start) & (minutes.ts < incident.stop)
        np.testing.assert_array_equal(minutes.incident != "", labelled)
        deploys = minutes.ts[minutes.deploy == 1].tolist()
        assert deploys == sorted({deploy.start for deploy in truth.deploys})
        changes = minutes.ts[1:][np.diff(minutes.regime) != 0].tolist()
        assert changes == [change.start for change in truth.regimes]


def test_truth_of_a_range_is_what_falls_in_it() -> None:
    platform = Platform(4)
    whole = platform.truth("auth", MONDAY, MONDAY + 60 * DAY)
    weeks = [
        platform.truth("auth", MONDAY + d * DAY, MONDAY + (d + 5) * DAY) for d in range(0, 60, 5)
    ]
    assert [deploy for week in weeks for deploy in week.deploys] == list(whole.deploys)
    assert [change for week in weeks for change in week.regimes] == list(whole.regimes)
    assert {i for week in weeks for i in week.incidents} == set(whole.incidents)


def rise(minutes: Telemetry, incident: Incident) -> float:
    """How far the p95 at an incident's height lies above that of the quiet minutes around it."""
    during = incident.profile(minutes.ts) > 0.7
    near = (np.abs(minutes.ts - incident.start) < DAY // 2) & (minutes.incident == "")
    return float(np.median(minutes.p95_ms[during]) / np.median(minutes.p95_ms[near]))


def test_incidents_raise_latencies() -> None:
    platform, stop = Platform(4), MONDAY + 60 * DAY
    rises: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for entity in ENTITIES:
        minutes = platform.minutes(entity, MONDAY, stop)
        for incident in platform.truth(entity, MONDAY + DAY, stop - DAY).incidents:
            rises[incident.kind].append(rise(minutes, incident))
    everything = np.concatenate(list(rises.values()))
    assert len(everything) > 40
    assert (everything > 1.1).mean() > 0.8
    assert {kind: np.median(found) > 1.2 for kind, found in rises.items()} == dict.fromkeys(
        KINDS, True
    )


def test_incidents_and_deploys_come_as_often_as_promised() -> None:
    truths = [Platform(6).truth(entity, MONDAY, MONDAY + 364 * DAY) for entity in ENTITIES]
    entity_weeks = 52 * len(ENTITIES)
    assert sum(len(truth.incidents) for truth in truths) / entity_weeks == pytest.approx(1, abs=0.2)
    assert sum(len(truth.deploys) for truth in truths) / entity_weeks == pytest.approx(2, abs=0.15)
    lengths = [i.stop - i.start for truth in truths for i in truth.incidents]
    assert min(lengths) >= 6 * MINUTE
    assert max(lengths) <= 10 * 60 * MINUTE


def test_a_regression_is_felt_until_it_is_rolled_back() -> None:
    platform, felt = Platform(6), []
    for entity in ENTITIES:
        for deploy in platform.truth(entity, MONDAY, MONDAY + 90 * DAY).deploys:
            if deploy.rolled_back is None:
                continue
            around = platform.minutes(entity, deploy.start - 1800, deploy.rolled_back + 1800)
            if (around.incident != "").any():
                continue
            during = (around.ts >= deploy.start + 300) & (around.ts < deploy.rolled_back)
            outside = (around.ts < deploy.start) | (around.ts >= deploy.rolled_back)
            ratio = np.median(around.p50_ms[during]) / np.median(around.p50_ms[outside])
            felt.append(np.log(ratio) - deploy.shift)
    assert len(felt) > 12
    assert abs(np.median(felt)) < 0.05
