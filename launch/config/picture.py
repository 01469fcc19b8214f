"""Draws a rollout as text: its steps, how far it is, how long it has, and what the verdict is."""

from collections.abc import Iterator, Mapping
from typing import Any

BAR = 40

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
    yield f"verdict   {rollout['verdict']}{_noted(rollout)}"
    if rollout["certificates"]:
        yield f"certificates {len(rollout['certificates'])}"


def duration(seconds: float) -> str:
    """Write seconds as hours, minutes and seconds."""
    whole = max(int(seconds), 0)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


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
    yield f"Version {shown['active']} is in force."


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


def _noted(rollout: Body) -> str:
    return f" ({rollout['note']})" if rollout["note"] else ""
