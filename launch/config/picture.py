"""Draws a rollout as text: its steps, how far it is, how long it has, and what the verdict is."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from launch.config.chart import MOST_ROWS, charts, clock

BAR = 40
_OF_EACH_METRIC = 2  # its title, and the line of its margin
_LATE_SECONDS = 60.0  # so long after it was due nobody works at a look any more

Body = Mapping[str, Any]


def picture(shown: Body) -> Iterator[str]:
    """Draw the rollout that goes on, or say how the last one ended."""
    rollout = shown["rollout"]
    if rollout is None:
        yield from _ended(shown)
        return
    now = shown["now"]
    yield (
        f"{rollout['strategy']} rollout {rollout['id']}: version {rollout['candidate']} over "
        f"{rollout['incumbent']}, by {rollout['by']}"
    )
    yield _steps(rollout["shares"], rollout["step"])
    yield f"keys      [{_bar(shown['share'])}] {_percent(shown['share'])}"
    begun, deadline = rollout["step_begun"], rollout["step_deadline"]
    if now < begun:
        yield f"step      begins in {duration(begun - now)}"
    else:
        spent = min((now - begun) / max(deadline - begun, 1e-9), 1.0)
        yield f"time      [{_bar(spent)}] {duration(deadline - now)} left of this step"
    yield f"deadline  {_moment(deadline)}, and of the rollout {_moment(rollout['ends'])}"
    yield f"verdict   {rollout['verdict']}{_noted(rollout)}"
    if rollout["weakened"]:
        yield f"WEAKENED  {'; '.join(rollout['weakened'])}"
    if rollout["certificates"]:
        yield f"certificates {len(rollout['certificates'])}"


def full_picture(
    shown: Body, points: Sequence[Body], width: int, height: int | None = None
) -> Iterator[str]:
    """Draw the rollout and the evidence for its step, no higher than asked if that can be."""
    lines = list(picture(shown))
    yield from lines
    rollout = shown["rollout"] or shown["last"]
    if rollout is None or not (points or shown["judged"]):
        return
    yield ""
    if points:
        yield from charts(rollout, points, width, _rows(rollout, height, len(lines) + 2))
    else:
        yield _unlooked(shown["first_look"], shown["now"])


def duration(seconds: float) -> str:
    """Write seconds as hours, minutes and seconds."""
    whole = max(int(seconds), 0)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _rows(rollout: Body, height: int | None, taken: int) -> int:
    """Tell how many rows on each side of its margin a metric has where all are to be seen."""
    if height is None:
        return MOST_ROWS
    metrics = max(len(rollout["settings"]["margins"]), 1)
    left = (height - taken) // metrics - _OF_EACH_METRIC
    return min(max(left // 2, 1), MOST_ROWS)


def _unlooked(due: float, now: float) -> str:
    """Say when there will be something to see, or that there should have been."""
    so_far = "Nobody has looked at this step yet"
    if now < due + _LATE_SECONDS:
        return f"{so_far}: the first look is due at {clock(due)}."
    return (
        f"{so_far}, and the first look was due at {clock(due)}: `ballast status` says whether the "
        "history, which judges, runs."
    )


def _ended(shown: Body) -> Iterator[str]:
    last = shown["last"]
    if last is None:
        yield f"No rollout goes on, and none was begun. Version {shown['active']} is in force."
        return
    how = "finished" if last["outcome"] == "finished" else f"aborted at step {last['step'] + 1}"
    yield (
        f"No rollout goes on. The last one, {last['id']} of version {last['candidate']}, was "
        f"{how}{_noted(last)}."
    )
    if last["weakened"]:
        yield f"WEAKENED  {'; '.join(last['weakened'])}"
    yield f"Version {shown['active']} is in force."
    if last["certificates"]:
        yield f"`ballast config certificate {last['id']}` fetches what it was judged by."


def _steps(shares: list[float], step: int) -> str:
    """Draw the steps: those done, the one that is, those to come."""
    drawn = [
        f"[{_percent(share)}]" if at == step else f"{_percent(share)}{' done' if at < step else ''}"
        for at, share in enumerate(shares)
    ]
    return f"steps     {' > '.join(drawn)}"


def _bar(share: float) -> str:
    filled = round(BAR * min(max(share, 0.0), 1.0))
    return "#" * filled + "." * (BAR - filled)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"


def _noted(rollout: Body) -> str:
    return f" ({rollout['note']})" if rollout["note"] else ""
