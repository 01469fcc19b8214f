"""Every line of the table must be able to break."""

from typing import Any

import pytest

from benchmarks.chaos.audit import Line, Shown, lines
from benchmarks.chaos.books import Answer, Books, Counted
from benchmarks.chaos.campaign import Effect
from benchmarks.chaos.outages import Outages


def books() -> Books:
    found = Books(clock=lambda: 0.0)
    found.receive("tail-slo", "one", degraded=False)
    return found


def judge(**planted: Any) -> dict[str, Line]:
    usual: dict[str, Any] = {
        "books": books(),
        "shown": [Shown("stream", Counted(10), 10)],
        "feeds": [],
        "in_ledger": {"one", "somebody else's"},
        "outages": Outages(),
        "effects": [Effect("kill tail", ["kill tail (7)"], 1.0, 0.5)],
        "left_over": [],
        "left_out": 0,
    }
    return {line.name: line for line in lines(**(usual | planted))}


def broken(found: dict[str, Line]) -> list[str]:
    return [line.name for line in found.values() if not line.kept]


def answered(status: int, content_type: str = "application/json") -> Books:
    found = books()
    found.note("tail-slo", Answer(status, content_type, None, b"x"))
    return found


def refused(seconds: float) -> Outages:
    found = Outages()
    found.note(1.0, taken=False)
    found.note(1.0 + seconds, taken=True)
    return found


def test_a_campaign_without_a_fault_breaks_no_line() -> None:
    assert broken(judge()) == []


@pytest.mark.parametrize(
    ("planted", "line"),
    [
        ({"shown": [Shown("stream", Counted(10), 9)]}, "acknowledged and lost"),
        ({"shown": [Shown("stream", Counted(10), 11)]}, "counted twice"),
        ({"in_ledger": set()}, "received and not in the ledger"),
        ({"books": answered(500)}, "5xx without Retry-After"),
        ({"books": answered(401)}, "wrong 401"),
        ({"books": answered(404)}, "wrong 404"),
        ({"books": answered(422)}, "other refusals of valid requests"),
        ({"books": answered(200, "text/plain")}, "bodies that are not JSON"),
        ({"outages": refused(3.0)}, "longest row of refused connections, s"),
        (
            {"effects": [Effect("kill zygote", [], 1.0, 0.5, absent=["zygote"])]},
            "kinds of process that did not come back",
        ),
        ({"effects": [Effect("kill gcs", [], 1.0, 0.5, restarted="by hand")]}, "starts by hand"),
        ({"left_out": 3}, "faults left out for want of time"),
        ({"left_over": ["process 7"]}, "left behind by `ballast down`"),
    ],
)
def test_what_is_planted_breaks_its_line_and_no_other(planted: dict[str, Any], line: str) -> None:
    assert broken(judge(**planted)) == [line]


def test_a_second_of_refused_connections_is_within_bounds() -> None:
    assert broken(judge(outages=refused(1.9))) == []


def test_a_loss_here_is_not_made_up_for_by_a_double_there() -> None:
    shown = [Shown("a", Counted(10), 9), Shown("b", Counted(10), 11)]
    assert broken(judge(shown=shown)) == ["acknowledged and lost", "counted twice"]
