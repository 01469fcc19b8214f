"""The chart of a step is text: bars against the margin, of each metric, over its looks."""

from launch.config.chart import charts, look_lines
from tests.launch.config.rollout_body import ROLLOUT, point

NARROWING = [
    point(1, (None, None)),
    point(2, (-0.15, None)),
    point(3, (-0.04, 0.26), (-0.001, 0.02)),
    point(4, (0.01, 0.12), (0.0, 0.004)),
    point(5, (0.02, 0.1), (0.0, 0.003), "good"),
]


def test_the_bars_close_in_on_the_margin_until_they_leave_it() -> None:
    lines = list(charts(ROLLOUT, NARROWING, 80, 2))
    assert lines == [
        "p99_ms  good  +2 % to +10 % worse, margin +10 %; evidence: bad 12 %, good 100 %",
        "             > +20 % |||",
        "             > +10 % ||||",
        "        margin +10 % ++++-",
        "             < +10 % |||||",
        "              < +0 % |||",
        (
            "violation_rate  unknown  +0 points to +0.3 points worse, margin +0.5 points; "
            "evidence: bad 12 %, good 100 %"
        ),
        "         > +1 points |||",
        "       > +0.5 points |||",
        "  margin +0.5 points +++--",
        "       < +0.5 points |||||",
        "         < +0 points |||",
        "5 looks from 00:01:00Z to 00:05:00Z, 500 rows; each key's minute counts once",
    ]


def test_a_bad_candidate_is_wholly_above_the_margin() -> None:
    lines = list(charts(ROLLOUT, [point(1, (0.1, 0.9), verdict="bad")], 80, 1))
    assert lines[:4] == [
        "p99_ms  bad  +10 % to +90 % worse, margin +10 %; evidence: bad 12 %, good 100 %",
        "             > +10 % |",
        "        margin +10 % -",
        "             < +10 %",
    ]


def test_it_is_no_wider_than_asked_and_ends_with_the_last_look() -> None:
    looks = [point(number, (0.0, 0.3)) for number in range(1, 100)]
    looks.append(point(100, (0.0, 0.05)))
    lines = list(charts(ROLLOUT, looks, 41, 4))
    assert lines[5] == "        margin +10 % +++++++++++++++++++-"
    assert all(len(line) <= 41 for line in lines if line.startswith(" "))


def test_large_and_small_margins_are_read_at_a_glance() -> None:
    margins = [
        {"metric": "p99_ms", "relative": 10.0, "absolute": None},
        {"metric": "violation_rate", "relative": None, "absolute": 0.0},
    ]
    rollout = ROLLOUT | {"settings": {"evidence": True, "margins": margins}}
    lines = list(charts(rollout, [point(1, (None, 3.0), (0.0005, 0.003))], 80, 2))
    assert lines[0].startswith("p99_ms  unknown  ? to +300 % worse, margin +1,000 %;")
    assert lines[6].startswith(
        "violation_rate  unknown  +0.05 points to +0.3 points worse, margin +0"
    )
    assert lines[7:10] == [
        "       > +0.1 points |",
        "         > +0 points |",
        "    margin +0 points -",
    ]


def test_one_look_is_a_line_for_each_metric() -> None:
    assert list(look_lines(ROLLOUT, NARROWING[2])) == [
        (
            "00:03:00Z  5 % of the keys  p99_ms  unknown  -4 % to +26 % worse, margin +10 %; "
            "evidence: bad 12 %, good 100 %"
        ),
        (
            "00:03:00Z  5 % of the keys  violation_rate  unknown  -0.1 points to +2 points worse, "
            "margin +0.5 points; evidence: bad 12 %, good 100 %"
        ),
    ]
