"""Draws the looks at a step as text: where the candidate's excess lies, against the margin.

    interval_width  good  -8.54 % to +9.34 % worse, margin +25 %; evidence: bad 0 %, good 100 %
               > +50 % |
               > +25 % ||||
          margin +25 % ++++----------------
               < +25 % ||||||||||||||||||||
                < +0 % ||||||||||||||||||||

A column is a look, or the last of several. Its bar is the confidence sequence: the candidate's
excess over the active version lies in it, at all looks at once. While the bar crosses the margin
(+) nothing is decided; once it is wholly below, the candidate is good, wholly above it is bad (-).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any, NamedTuple

Body = Mapping[str, Any]

BAR, CROSSED, MARGIN = "|", "+", "-"
MOST_ROWS = 4  # on each side of the margin
_LABEL = 20
_MOST_DIGITS = 999
_SMALLEST_UNIT = 0.001  # of a rate whose margin is 0


class Scale(NamedTuple):
    """What a metric's excess is measured by."""

    margin: float
    absolute: bool

    def text(self, excess: float | None) -> str:
        if excess is None:
            return "?"
        percent = 100 * excess
        digits = ",.0f" if abs(percent) > _MOST_DIGITS else ".3g"
        return f"{percent:+{digits}} {'points' if self.absolute else '%'}"


def scales_of(rollout: Body) -> dict[str, Scale]:
    """Read the margin of each metric that the rollout is judged by."""
    return {
        each["metric"]: Scale(
            each["relative"] if each["absolute"] is None else each["absolute"],
            each["absolute"] is not None,
        )
        for each in rollout["settings"]["margins"]
    }


def charts(rollout: Body, points: Sequence[Body], width: int, rows: int) -> Iterator[str]:
    """Draw every metric of one look or more, with so many rows on each side of its margin."""
    shown = _columns(points, max(width - _LABEL - 1, 1))
    for name, scale in _measured(rollout, points[-1]):
        yield f"{name}  {described(points[-1]['metrics'][name], scale)}"
        yield from _chart([each["metrics"][name] for each in shown], scale, rows)
    yield (
        f"{len(points):,} looks from {clock(points[0]['at'])} to {clock(points[-1]['at'])}, "
        f"{points[-1]['rows']:,} rows; each key's minute counts once"
    )


def look_lines(rollout: Body, point: Body) -> Iterator[str]:
    """Tell of one look, a line for each metric."""
    for name, scale in _measured(rollout, point):
        share = f"{100 * rollout['shares'][point['step']]:.3g} % of the keys"
        measured = described(point["metrics"][name], scale)
        yield f"{clock(point['at'])}  {share}  {name}  {measured}"


def described(metric: Body, scale: Scale) -> str:
    """Say in words where a metric stands."""
    return (
        f"{metric['verdict']}  {scale.text(metric['lower'])} to {scale.text(metric['upper'])} "
        f"worse, margin {scale.text(scale.margin)}; evidence: bad {_part(metric['bad'])}, "
        f"good {_part(metric['good'])}"
    )


def clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%SZ}"


def _measured(rollout: Body, point: Body) -> Iterator[tuple[str, Scale]]:
    for name, scale in scales_of(rollout).items():
        if name in point["metrics"]:
            yield name, scale


def _columns(points: Sequence[Body], most: int) -> list[Body]:
    """Give each column the last look of its own; the last column has the last one."""
    each = -(-len(points) // most)
    return list(points[::-1][::each])[::-1]


def _chart(columns: Sequence[Body], scale: Scale, rows: int) -> Iterator[str]:
    unit = (scale.margin or _SMALLEST_UNIT) * MOST_ROWS / (2 * rows)
    bars = [_ends(each) for each in columns]
    for at in range(rows, 0, -1):
        low = scale.margin + (at - 1) * unit
        high = inf if at == rows else low + unit
        yield _row(f"> {scale.text(low)}", bars, low, high)
    crossed = (CROSSED if lower < scale.margin < upper else MARGIN for lower, upper in bars)
    yield f"{f'margin {scale.text(scale.margin)}':>{_LABEL}} {''.join(crossed)}"
    for at in range(1, rows + 1):
        high = scale.margin - (at - 1) * unit
        low = -inf if at == rows else high - unit
        yield _row(f"< {scale.text(high)}", bars, low, high)


def _row(label: str, bars: Sequence[tuple[float, float]], low: float, high: float) -> str:
    drawn = "".join(BAR if lower < high and upper > low else " " for lower, upper in bars)
    return f"{label:>{_LABEL}} {drawn}".rstrip()


def _ends(metric: Body) -> tuple[float, float]:
    lower, upper = metric["lower"], metric["upper"]
    return -inf if lower is None else lower, inf if upper is None else upper


def _part(evidence: float) -> str:
    """Say which part of what a verdict needs is there; more than all is all."""
    return f"{100 * min(evidence, 1.0):.0f} %"
