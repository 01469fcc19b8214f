"""When an interval is over, what is kept until then, and what a restart finds again."""

import tracemalloc
from collections.abc import Collection

import numpy as np
import pytest

from features.sources.remote_write.editions import EDITIONS
from features.sources.remote_write.needed import Series, identity_of
from features.sources.remote_write.samples import Samples
from features.sources.remote_write.windows import LATENESS_SECONDS, PATIENCE_SECONDS, Windows
from features.sources.rules import Gauge, Mapping, Rate, Selector
from features.sources.source import Gathered

RATE = Rate(of=Selector(name="requests_total"))
QUEUE = Gauge(of=Selector(name="queue"))
PLAIN = Mapping(entity="job", metrics={"request_rate": RATE, "queue_depth": QUEUE})
WITH_STARTS = PLAIN.model_copy(update={"deploys": Selector(name="started")})
LATEST = EDITIONS[3]
# An entry of the stream: its id, its samples, and when it came.
Entry = tuple[str, Samples, int]
T = 1_764_000_000 // 60 * 60


def series(name: str, job: str = "orders", pod: str = "1") -> Series:
    labels = {"__name__": name, "job": job, "pod": pod}
    return Series(identity_of(labels), name, (("job", job),))


def samples(of: Series, points: list[tuple[float, float]]) -> Samples:
    return Samples(
        [of],
        np.zeros(len(points), np.uint32),
        np.array([round(at * 1000) for at, _ in points], np.int64),
        np.array([value for _, value in points]),
    )


def counted(start: float, stop: float, a_second: float = 2.0) -> Samples:
    return samples(
        series("requests_total"),
        [(at, 100 + a_second * (at - T)) for at in np.arange(start, stop, 10.0).tolist()],
    )


def rates_of(gathered: Gathered) -> dict[int, float]:
    telemetry = gathered.telemetry
    return dict(zip(telemetry.ts.tolist(), telemetry.request_rate.tolist(), strict=True))


def faults_of(gathered: Gathered) -> dict[str, int]:
    return {each.fault: each.count for each in gathered.complaints}


def test_an_interval_is_over_some_time_after_the_first_sample_that_follows_it() -> None:
    windows = Windows(PLAIN, 60, edition=LATEST)
    windows.add("1-0", counted(T + 5, T + 60), (T + 60) * 1000)
    assert windows.finished(T + 60 + LATENESS_SECONDS + 60).until is None
    windows.add("2-0", counted(T + 65, T + 66), (T + 70) * 1000)
    assert windows.finished(T + 70 + LATENESS_SECONDS - 1).until is None
    found = windows.finished(T + 70 + LATENESS_SECONDS)
    assert found.until == T + 60
    assert rates_of(found) == {T: pytest.approx(2.0)}


def test_an_interval_waits_through_an_outage_for_what_is_sent_after_it() -> None:
    """What was sent before and after it counts together, as it does in the sender itself."""
    windows, hour = Windows(PLAIN, 60, edition=LATEST), 3600
    windows.add("1-0", counted(T + 5, T + 25), (T + 25) * 1000)
    assert windows.finished(T + hour).until is None
    for number, start in enumerate(range(T + 25, T + hour, 60)):
        received = T + hour + number // 10
        windows.add(f"{number + 2}-0", counted(start, start + 60), received * 1000)
    found: dict[int, float] = {}
    while (gathered := windows.finished(T + hour + 60)).until is not None:
        found |= rates_of(gathered)
        windows.stored(gathered.until, T + hour + 60)
    assert found == {ts: pytest.approx(2.0) for ts in range(T, T + hour, 60)}


def test_an_interval_after_which_nothing_comes_is_given_as_it_is_in_the_end() -> None:
    windows = Windows(PLAIN, 60, edition=LATEST)
    windows.add("1-0", counted(T + 5, T + 60), (T + 60) * 1000)
    assert windows.finished(T + 59 + PATIENCE_SECONDS).until is None
    assert windows.finished(T + 60 + PATIENCE_SECONDS).until == T + 60


def test_what_is_not_stored_is_given_again_and_what_is_stored_is_not() -> None:
    windows = Windows(PLAIN, 60, edition=LATEST)
    windows.add("1-0", counted(T + 5, T + 130), (T + 130) * 1000)
    now = T + 150
    first, second = windows.finished(now), windows.finished(now)
    assert rates_of(first) == rates_of(second)
    assert first.until == T + 120
    windows.stored(T + 120, now)
    assert windows.finished(now).until is None


def test_an_entry_is_let_go_of_once_nothing_can_need_it() -> None:
    windows = Windows(PLAIN, 60, edition=LATEST)
    for number, (start, stop) in enumerate(((5, 35), (35, 70), (75, 95), (95, 195))):
        windows.add(f"{number}-0", counted(T + start, T + stop), (T + stop) * 1000)
    found = windows.finished(T + 300)
    assert found.until == T + 180
    assert windows.stored(T + 60, T + 300) == "0-0"
    assert windows.stored(T + 120, T + 300) == "2-0"


@pytest.mark.parametrize("mapping", [PLAIN, WITH_STARTS])
def test_a_restart_goes_on_with_what_was_not_let_go_of(mapping: Mapping) -> None:
    """Whoever dies between any two steps gives the same rows as one that never did."""
    entries: list[Entry] = []
    for number in range(40):
        start = T + 5 + number * 15
        entries.append((f"{number}-0", counted(start, start + 15), round((start + 16) * 1000)))
        begun = T - 5000.0 if number < 18 else T + 272.0
        began = samples(series("started"), [(start + 2.0, begun)])
        entries.append((f"{number}-1", began, round((start + 16) * 1000)))
    undisturbed = rows_through(mapping, entries, restart_after=())
    assert len(undisturbed) == 10
    assert rows_through(mapping, entries, restart_after=range(0, 80, 7)) == undisturbed
    deploys = [ts for ts, (_, deploy) in undisturbed.items() if deploy]
    assert deploys == ([T + 240] if mapping is WITH_STARTS else [])


def rows_through(
    mapping: Mapping, entries: list[Entry], restart_after: Collection[int]
) -> dict[int, tuple[float, int]]:
    windows = Windows(mapping, 60, edition=LATEST)
    stream: list[Entry] = []
    found: dict[int, tuple[float, int]] = {}
    for number, entry in enumerate(entries):
        stream.append(entry)
        windows.add(*entry)
        now = entry[2] / 1000 + LATENESS_SECONDS
        gathered = windows.finished(now)
        if gathered.until is not None:
            rows = gathered.telemetry
            found |= {
                int(ts): (float(rate), int(deploy))
                for ts, rate, deploy in zip(rows.ts, rows.request_rate, rows.deploy, strict=True)
            }
            gone = windows.stored(gathered.until, now)
            if gone is not None:
                stream = stream[[each[0] for each in stream].index(gone) + 1 :]
        if number in restart_after:
            windows = Windows(mapping, 60, edition=LATEST, finished_to=windows.finished_to)
            for each in stream:
                windows.add(*each)
    return found


def test_late_skewed_and_contradicting_samples_are_complained_of() -> None:
    windows = Windows(PLAIN, 60, edition=LATEST)
    windows.add("1-0", counted(T + 5, T + 130), (T + 130) * 1000)
    windows.stored(windows.finished(T + 150).until or 0, T + 150)
    of = series("requests_total")
    windows.add("2-0", samples(of, [(T + 30.0, 5.0), (T + 31.0, 5.0)]), (T + 160) * 1000)
    windows.add("3-0", samples(of, [(T + 400.0, 5.0), (T - 20_000.0, 5.0)]), (T + 160) * 1000)
    windows.add(
        "4-0", samples(of, [(T + 125.0, 1.0), (T + 170.0, 1.0), (T + 190.0, 1.0)]), (T + 190) * 1000
    )
    found = windows.finished(T + 250)
    # 2 came too late, and what is of the last day is no news either.
    assert faults_of(found) == {"gap": 3, "clock skew": 2, "duplicate": 1, "counter reset": 1}


def test_what_comes_twice_counts_once_and_is_no_fault() -> None:
    windows, twice = Windows(PLAIN, 60, edition=LATEST), Windows(PLAIN, 60, edition=LATEST)
    entry = counted(T + 5, T + 70)
    windows.add("1-0", entry, (T + 70) * 1000)
    for entry_id in ("1-0", "2-0"):
        twice.add(entry_id, entry, (T + 70) * 1000)
    assert rates_of(twice.finished(T + 100)) == rates_of(windows.finished(T + 100))
    assert faults_of(twice.finished(T + 100)) == {}


def test_repeats_take_no_memory_before_their_interval_is_over() -> None:
    windows, count = Windows(PLAIN, 60, edition=LATEST), 300_000
    of = series("requests_total")
    rows, times = np.zeros(count, np.uint32), np.full(count, (T + 5) * 1000)
    repeats = Samples([of], rows, times, np.arange(count, dtype=np.float64))
    tracemalloc.start()
    try:
        for number in range(20):
            windows.add(f"{number}-0", repeats, (T + 6) * 1000)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20 * 500_000
    windows.add("20-0", samples(of, [(T + 65.0, 120.0)]), (T + 65) * 1000)
    assert faults_of(windows.finished(T + 90)) == {"duplicate": 20 * count - 20}


def test_series_that_nobody_needs_any_more_are_not_taken() -> None:
    """A gateway may go by a configuration that is a moment older."""
    windows = Windows(PLAIN, 60, edition=LATEST)
    windows.add("1-0", samples(series("others"), [(T + 5.0, 1.0)]), (T + 70) * 1000)
    windows.add("2-0", counted(T + 65, T + 66), (T + 70) * 1000)
    assert windows.finished(T + 100).until is None


def test_series_that_ended_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.sources.remote_write.windows._FEW", 3)
    windows, now = Windows(PLAIN, 60, edition=LATEST), 0.0
    for minute in range(30):
        start = T + 60 * minute
        for pod in (str(minute), "steady"):
            of = series("requests_total", job=f"job-{pod}", pod=pod)
            points = [(start + at, 100.0 + at) for at in (5.0, 20.0, 55.0)]
            windows.add(f"{minute}-{pod}", samples(of, points), round((start + 56) * 1000))
        now = start + 90.0
        gathered = windows.finished(now)
        if gathered.until is not None:
            names = sorted(str(name) for name in gathered.telemetry.entity)
            assert names == sorted([f"job-{minute - 1}", "job-steady"])
            windows.stored(gathered.until, now)
    assert len(windows._registry) < 10
