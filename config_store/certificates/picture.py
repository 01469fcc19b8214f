"""Draws the evidence of a step over its looks, as text: how far each metric is from a verdict."""

from collections.abc import Sequence

import numpy as np

from config_store.certificates.certificate import Look
from config_store.certificates.plan import Plan

HEIGHT = 8
BAD, GOOD, BOTH, BOUNDARY = "x", "o", "*", "-"


def picture(plan: Plan, looks: Sequence[Look], width: int) -> list[str]:
    """Draw each metric: its evidence for bad (x) and for good (o), below the boundary of both.

    The last column is the last look; where there are more looks than columns, each column has the
    highest evidence of its looks.
    """
    if not looks:
        return ["Nobody has looked at this step yet."]
    lines = []
    for metric in plan.margins.metrics:
        lines += _of_metric(plan, metric.name, looks, width)
    last = looks[-1]
    return [*lines, f"{last.verdict} after {last.rows:,} rows: {last.reason}"]


def _of_metric(plan: Plan, name: str, looks: Sequence[Look], width: int) -> list[str]:
    needed = -np.log(plan.margins.bad_alpha), -np.log(plan.margins.good_alpha)
    now = looks[-1].metrics[name]
    paths = [
        _levels([getattr(look.metrics[name], side) / limit for look in looks], width)
        for side, limit in zip(("bad", "good"), needed, strict=True)
    ]
    rows = [_row(level, *paths) for level in range(HEIGHT, 0, -1)]
    title = (
        f"{name}  {now.verdict}   bad {now.bad:.1f} of {needed[0]:.1f}   "
        f"good {now.good:.1f} of {needed[1]:.1f}   "
        f"{now.values[0]:,.0f} and {now.values[1]:,.0f} values"
    )
    if now.by_keys is not None:
        title += f"   by keys {now.by_keys[0]:.1f} and {now.by_keys[1]:.1f}"
    return [title, BOUNDARY * len(paths[0]), *rows, ""]


def _levels(shares: Sequence[float], width: int) -> list[int]:
    """Give each column its height: 0 where there is nothing, HEIGHT from the boundary on."""
    pieces = np.array_split(np.array(shares), min(width, len(shares)))
    return [int(np.clip(np.floor(piece.max() * HEIGHT), 0, HEIGHT)) for piece in pieces]


def _row(level: int, bad: Sequence[int], good: Sequence[int]) -> str:
    signs = {(True, True): BOTH, (True, False): BAD, (False, True): GOOD, (False, False): " "}
    return "".join(
        signs[one == level, other == level] for one, other in zip(bad, good, strict=True)
    ).rstrip()
