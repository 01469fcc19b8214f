"""What the page says of a run: when replicas came and went, and what was lost."""

from typing import cast

import pytest

from benchmarks.autoscaling.table import Lost, Run, Sample, growths, is_kept, page

NOTHING_LOST: Lost = {
    "sent": 1_210,
    "answered": 1_200,
    "told_to_come_back": 10,
    "broken": 0,
    "wrong": 0,
    "points_acknowledged": 4_000,
    "points_lost": 0,
    "points_doubled": 0,
}
CALM, POINTS, FITS = "calm", "24 clients of anomaly", "24 clients of extreme-events"


def samples(*told: tuple[str, int, int]) -> list[Sample]:
    """Give a second for each load, and the replicas of both deployments then."""
    return [
        {
            "at_s": float(at),
            "load": load,
            "replicas": {"anomaly": anomaly, "tail": tail},
            "answered": 100 * at,
        }
        for at, (load, anomaly, tail) in enumerate(told)
    ]


GROWN = samples(
    (CALM, 1, 1), (CALM, 1, 1), (POINTS, 1, 1), (POINTS, 2, 1), (POINTS, 3, 1), (CALM, 3, 1),
    (CALM, 2, 1), (CALM, 1, 1), (FITS, 1, 1), (FITS, 1, 2), (CALM, 1, 2), (CALM, 1, 1),
)  # fmt: skip


def run(seconds: list[Sample], **lost: int) -> Run:
    return {
        "profile": "fast",
        "started": "2026-11-28T12:00:00+00:00",
        "machine": {"cores": "2"},
        "steps": [
            {"kind": "anomaly", "clients": 24, "deployment": "anomaly"},
            {"kind": "extreme-events", "clients": 24, "deployment": "tail"},
        ],
        "samples": seconds,
        "lost": cast("Lost", NOTHING_LOST | lost),
    }


def test_it_tells_what_became_of_each_deployment() -> None:
    assert growths(run(GROWN)) == [("anomaly", 1, 3, 1), ("tail", 1, 2, 1)]
    assert is_kept(run(GROWN))


@pytest.mark.parametrize("what", ["broken", "wrong", "points_lost", "points_doubled"])
def test_one_that_was_lost_breaks_it(what: str) -> None:
    assert not is_kept(run(GROWN, **{what: 1}))


def test_who_was_told_to_come_back_was_not_lost() -> None:
    assert is_kept(run(GROWN, told_to_come_back=500))


def test_who_did_not_grow_breaks_it() -> None:
    flat = samples((CALM, 1, 1), (POINTS, 1, 1), (CALM, 1, 1), (FITS, 1, 2), (CALM, 1, 1))
    assert not is_kept(run(flat))


def test_who_did_not_come_back_breaks_it() -> None:
    kept = samples((CALM, 1, 1), (POINTS, 2, 1), (CALM, 1, 1), (FITS, 1, 2), (CALM, 1, 2))
    assert not is_kept(run(kept))


def test_the_page_has_a_row_for_each_change() -> None:
    lines = page([run(GROWN)]).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert rows[0] == "| seconds | load | answers a second | anomaly | tail |"
    # The seconds without a change are left out, but for the first and the last.
    assert [row.split(" | ")[0] for row in rows[2:]] == [
        f"| {at}" for at in (0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
    ]
    assert f"| 4 | {POINTS} | 100 | 3 | 1 |" in rows
    text = "\n".join(lines)
    assert "**Lost: 0**" in text
    assert "4,000 points of streams were acknowledged: **0 lost**" in text
    assert "BALLAST_PROFILE=fast" in text


def test_both_profiles_are_on_the_page() -> None:
    plain = run(GROWN)
    plain["profile"] = "plain"
    text = page([run(GROWN), plain])
    assert text.index("=fast") < text.index("=plain")
