"""The picture of a rollout is text: steps, share, time left, verdict, and how it ended."""

from typing import Any

from launch.config.picture import duration, picture
from launch.config.watching import Watching

ROLLOUT: dict[str, Any] = {
    "id": "r1",
    "strategy": "canary",
    "candidate": 8,
    "incumbent": 7,
    "shares": [0.01, 0.05, 0.25, 1.0],
    "step": 1,
    "step_begun": 100.0,
    "step_deadline": 500.0,
    "by": "olga",
    "verdict": "unknown",
    "note": "p99_ms: 812 requests, within +4 % .. +19 %, margin 10 %",
    "certificates": [],
}


def answer(now: float, **changes: Any) -> dict[str, Any]:
    rollout = ROLLOUT | changes
    return {"active": 7, "rollout": rollout, "last": None, "share": 0.05, "now": now}


def test_a_step_that_goes_on_is_drawn() -> None:
    assert list(picture(answer(200.0))) == [
        "canary rollout r1: version 8 over 7, by olga",
        "steps     1 % done > [5 %] > 25 % > 100 %",
        "keys      [##......................................] 5 %",
        "time      [##########..............................] 00:05:00 left of this step",
        "verdict   unknown (p99_ms: 812 requests, within +4 % .. +19 %, margin 10 %)",
    ]


def test_a_step_that_is_about_to_begin_and_one_past_its_deadline() -> None:
    assert "step      begins in 00:00:04" in list(picture(answer(96.0)))
    assert any("00:00:00 left" in line for line in picture(answer(900.0)))


def test_how_it_ended_is_said() -> None:
    shown = {"active": 7, "rollout": None, "last": ROLLOUT | {"outcome": "aborted"}}
    text = "\n".join(picture(shown))
    assert "r1 of version 8, was aborted at step 2 (p99_ms: 812" in text
    assert "Version 7 is in force." in text
    shown["last"] = ROLLOUT | {"outcome": "finished", "note": ""}
    assert "was finished." in "\n".join(picture(shown))
    shown["last"] = None
    assert "none was begun" in "\n".join(picture(shown))


def test_durations_are_read_at_a_glance() -> None:
    assert [duration(each) for each in (-1, 61, 7322)] == ["00:00:00", "00:01:01", "02:02:02"]


def test_in_a_log_only_a_change_is_drawn(capsys: Any) -> None:
    with Watching(live=False) as watching:
        for now in (200.0, 201.0, 202.0):
            watching.show(answer(now))
        watching.show(answer(203.0, verdict="good", note=""))
    out = capsys.readouterr().out
    assert out.count("canary rollout r1") == 2
    assert out.count("verdict   unknown") == out.count("verdict   good") == 1
