"""The picture of a rollout is text: steps, share, time left, verdict, and how it ended."""

from typing import Any

import pytest

from launch.config.picture import duration, full_picture, picture
from launch.config.watching import Watching
from tests.launch.config.rollout_body import answer, ended, point


def test_a_step_that_goes_on_is_drawn() -> None:
    assert list(picture(answer(200.0))) == [
        "canary rollout r1: version 8 over 7, by olga",
        "steps     1 % done > [5 %] > 25 % > 100 %",
        "keys      [##......................................] 5 %",
        "time      [##########..............................] 00:05:00 left of this step",
        "deadline  1970-01-01 00:08:20Z, and of the rollout 1970-01-01 01:01:40Z",
        "verdict   unknown (p99_ms: there is not enough evidence yet)",
    ]


def test_a_step_that_is_about_to_begin_and_one_past_its_deadline() -> None:
    assert "step      begins in 00:00:04" in list(picture(answer(96.0)))
    assert any("00:00:00 left" in line for line in picture(answer(900.0)))


def test_how_it_ended_is_said() -> None:
    text = "\n".join(picture(ended(outcome="aborted", note="p99_ms: it is worse")))
    assert "r1 of version 8, was aborted at step 2 (p99_ms: it is worse)" in text
    assert "Version 7 is in force." in text
    assert "certificate" not in text
    text = "\n".join(picture(ended(outcome="finished", note="", certificates=["c1"])))
    assert "was finished." in text
    assert "`ballast config certificate r1` fetches" in text
    assert "none was begun" in "\n".join(picture(ended() | {"last": None}))


def test_durations_are_read_at_a_glance() -> None:
    assert [duration(each) for each in (-1, 61, 7322)] == ["00:00:00", "00:01:01", "02:02:02"]


def test_weaker_evidence_is_seen_at_a_glance() -> None:
    weaker = ["p99_ms is not judged", "alpha is 0.1 in place of 0.01"]
    said = f"WEAKENED  {'; '.join(weaker)}"
    for shown in (answer(200.0, weakened=weaker), ended(outcome="finished", weakened=weaker)):
        assert said in list(picture(shown))
    assert not any("WEAKENED" in line for line in picture(answer(200.0)))


def test_the_evidence_is_below_the_rollout() -> None:
    lines = list(full_picture(answer(200.0), [point(1, (0.0, 0.2))], 80))
    assert lines[:6] == list(picture(answer(200.0)))
    assert lines[6] == ""
    assert lines[7].startswith("p99_ms  unknown  +0 % to +20 % worse, margin +10 %")
    assert lines[8:17][4] == "        margin +10 % +"
    assert (
        lines[-1] == "1 looks from 00:01:00Z to 00:01:00Z, 100 rows; each key's minute counts once"
    )
    # What led to the end stays to be seen.
    shown = list(full_picture(ended(outcome="aborted"), [point(1, (0.2, 0.3))], 80))
    assert any(line.startswith("p99_ms") for line in shown)


def test_when_the_first_look_comes_is_said_and_when_it_is_late() -> None:
    soon, late = (list(full_picture(answer(now), [], 80))[-1] for now in (200.0, 256.0))
    assert soon == "Nobody has looked at this step yet: the first look is due at 00:03:15Z."
    assert late.startswith("Nobody has looked at this step yet, and the first look was due at 00:")
    assert "`ballast status`" in late


def test_a_step_that_no_evidence_comes_of_has_no_chart() -> None:
    shown = answer(200.0, judged=False)
    assert list(full_picture(shown, [], 80))[-1].startswith("verdict")


@pytest.mark.parametrize("height", [18, 24, 40])
def test_it_fits_a_terminal(height: int) -> None:
    looks = [point(number, (0.0, 0.2)) for number in range(1, 300)]
    lines = list(full_picture(answer(200.0), looks, 80, height))
    assert len(lines) <= height
    assert sum("margin" in line and line.startswith(" ") for line in lines) == 2


def test_in_a_log_only_what_is_new_is_told(capsys: Any) -> None:
    looks = [point(1, (None, None)), point(2, (-0.1, 0.3)), point(3, (0.0, 0.1), verdict="good")]
    with Watching(live=False) as watching:
        for now, seen in ((200.0, 1), (201.0, 1), (202.0, 2)):
            watching.show(answer(now), looks[:seen])
        watching.show(answer(203.0, verdict="good", note=""), looks)
        watching.show(answer(204.0, step=2, verdict="unknown", note=""), [])
        following = point(1, (0.0, 0.3)) | {"step": 2}
        watching.show(answer(205.0, step=2, verdict="unknown", note=""), [following])
        watching.show(ended(outcome="aborted", note="p99", step=2), [following])
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("canary rollout r1") for line in lines) == 3
    told = [line.split("  ")[:3] for line in lines if "Z  " in line]
    assert told == [
        [f"00:0{minute}:00Z", f"{share} % of the keys", metric]
        for minute, share in ((1, 5), (2, 5), (3, 5), (1, 25))
        for metric in ("p99_ms", "violation_rate")
    ]
    assert lines[-2].endswith("was aborted at step 3 (p99).")


def test_that_the_platform_is_away_is_told_once_each_time(capsys: Any) -> None:
    with Watching(live=False) as watching:
        watching.show(answer(200.0), [])
        for _ in range(3):
            watching.show_away("It does not answer.")
        watching.show(answer(201.0), [])
        watching.show_away("It does not answer.")
    assert capsys.readouterr().out.count("It does not answer.") == 2
