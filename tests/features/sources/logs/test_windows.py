"""Posted lines, by when they came: which interval they count in, and until when they are kept."""

from hypothesis import given
from hypothesis import strategies as st

from features.sources.logs.batch import Batch, decode, encode
from features.sources.logs.config import LineRules
from features.sources.logs.patterns import LineRead
from features.sources.logs.stream import ArrivedLines
from features.sources.logs.windows import CATCH_UP_SECONDS, SETTLE_SECONDS, LineWindows
from features.sources.source import Complaint

RULES = LineRules(entity_name="orders")
CADENCE, LATENESS = 60, 5
AT = 1_772_461_800


def line(at: float, entity: str = "orders", latency: float | None = 1.0) -> LineRead:
    return LineRead(entity, AT + at, latency, True, False, False, False)


def arrived(number: int, came: float, *lines: LineRead, identity: str = "") -> ArrivedLines:
    batch = Batch(identity or str(number), lines)
    return ArrivedLines(f"{number}-0", int((AT + came) * 1000), batch)


def begun(finished_to: int = 0) -> LineWindows:
    return LineWindows(RULES, CADENCE, LATENESS, finished_to=finished_to)


def finished(windows: LineWindows, now: float) -> dict[int, float]:
    """Store all that is finished by now; gives how many lines each interval had."""
    found: dict[int, float] = {}
    while (gathered := windows.finished(AT + now)).until is not None:
        rows = gathered.telemetry
        for ts, rate in zip(rows.ts.tolist(), rows.request_rate.tolist(), strict=True):
            assert ts not in found
            found[ts - AT] = rate * CADENCE
        windows.stored(gathered.until, AT + now)
    return found


def late(windows: LineWindows, now: float) -> int:
    return sum(each.count for each in windows.finished(AT + now).complaints if each.fault == "late")


def test_an_interval_is_finished_by_the_clock_as_that_of_files() -> None:
    windows = begun()
    windows.take([arrived(1, 30, line(10)), arrived(2, 64.9, line(59.9), line(61))])
    assert finished(windows, 64.9 + SETTLE_SECONDS) == {}
    assert finished(windows, 65 + SETTLE_SECONDS) == {0: 2}
    assert finished(windows, 125 + SETTLE_SECONDS) == {60: 1}


def test_a_line_that_comes_after_the_time_for_it_is_late_whenever_it_is_read() -> None:
    windows = begun()
    # Read at once, as after an outage of the reader: what came when decides.
    windows.take([arrived(1, 30, line(10)), arrived(2, 65.1, line(11))])
    assert late(windows, 70) == 1
    assert finished(windows, 70) == {0: 1}
    windows.take([arrived(3, 71, line(12), line(70))])
    assert late(windows, 72) == 1
    assert finished(windows, 200) == {60: 1}


def test_what_a_process_before_stored_is_passed_over_in_silence() -> None:
    windows = begun(finished_to=AT + 60)
    windows.take([arrived(1, 30, line(10), line(61))])
    assert windows.finished(AT + 70).complaints == ()
    assert finished(windows, 200) == {60: 1}


def test_an_interval_whose_first_line_comes_late_waits_for_the_others() -> None:
    windows = begun()
    windows.take([arrived(1, 300, line(10)), arrived(2, 320, line(20))])
    over = 300 + CATCH_UP_SECONDS + SETTLE_SECONDS
    assert finished(windows, over - 0.1) == {}
    assert finished(windows, over) == {0: 2}


def test_entries_are_kept_until_all_of_their_intervals_are_stored() -> None:
    windows = begun()
    windows.take(
        [
            arrived(1, 30, line(10)),
            arrived(2, 62, line(59), line(61)),
            arrived(3, 63, line(58)),
            arrived(4, 130, line(70)),
        ]
    )
    assert windows.finished(AT + 70).until == AT + 60
    assert windows.stored(AT + 60, AT + 70) == "1-0"
    assert windows.finished(AT + 200).until == AT + 120
    assert windows.stored(AT + 120, AT + 200) == "4-0"


def test_a_repeated_body_counts_once_as_long_as_it_could_count_again() -> None:
    windows = begun()
    both = arrived(1, 62, line(59), line(61), identity="same")
    windows.take([both, arrived(2, 63, line(59), line(61), identity="same")])
    assert finished(windows, 70) == {0: 1}
    windows.take([arrived(3, 80, line(59), line(61), identity="same")])
    assert finished(windows, 200) == {60: 1}
    windows.take([arrived(4, 201, line(59), line(61), identity="same")])
    assert late(windows, 202) == 2
    assert windows.stored(AT + 120, AT + 202) == "4-0"


@given(
    st.lists(
        st.tuples(
            st.text("äb.", min_size=1, max_size=3),
            st.floats(0, 4e9),
            st.none() | st.floats(0, 1e9),
            st.booleans(),
            st.booleans(),
            st.booleans(),
            st.booleans(),
        ).map(lambda fields: LineRead(*fields)),
        max_size=20,
    )
)
def test_an_entry_is_read_as_it_was_written(lines: list[LineRead]) -> None:
    batch = Batch("0f", lines, (Complaint("schema", 2, "the line is no JSON (9 bytes)"),))
    assert decode(encode(batch)) == batch
