"""Advances many streams in one call: scales what comes, takes a step, answers each row.

A stream that was given no scale learns it from its first `warmup` observations, by median and
median distance. Until then they are one regime, unless they part in two (`bocpd_parting`). Once
they have parted, each is answered by a filter run anew over all there are, on a provisional scale:
the centre is the median of the shortest half of them (a plain median may lie between two groups,
as far from both, and then no hypothesis is better than that of one regime), the spread twice the
robust estimate from their successive differences,
1.4826 median|x_i - x_(i-1)| / sqrt(2) (Davies and Kovac, Local extremes, runs, strings and
multiresolution, Annals of Statistics 29, 2001, section 1.2). Differences, because a shift in the
middle of so few leaves their median alone and not the median distance; twice, because of so few
the estimate is often far too small. Both move with the data's unit and origin, and so the
probabilities do not.

A scale does not easily judge what it was learnt from. Once it is, a change among values that did
not part counts only at odds of the expected run to one, and with three observations since
(docs/decisions/first-values-of-a-stream.md has the measurements).
"""

import math
from typing import Any

import numpy as np

from models.anomaly.bocpd_filter import step
from models.anomaly.bocpd_parting import parts
from models.anomaly.bocpd_state import POISSON, TREND, F64Array, I64Array, Prior, Steps, Streams
from models.compiled import compiled

MORE_LIKELY_THAN_NOT = 0.5
TINY = 1e-12  # hypotheses under it are dropped
FIRST_TOLD = 5  # from this observation on, the filter runs on a provisional scale
PROVISIONAL = 2.0
CONFIRMED = 3  # so many observations are more than a spike and its neighbour
FARTHEST = 1e60  # of a scaled observation: its square, and sums of such squares, stay finite


@compiled
def _median(values: F64Array) -> float:
    """Take the middle, or the mean of the two middles, by sorting in place: there are few."""
    for i in range(1, values.size):
        value, at = values[i], i
        while at > 0 and values[at - 1] > value:
            values[at] = values[at - 1]
            at -= 1
        values[at] = value
    return 0.5 * float(values[(values.size - 1) // 2] + values[values.size // 2])


@compiled
def _middle_of_most(ordered: F64Array) -> float:
    """Give the median of the shortest half: it lies among values, where many are near."""
    half, first = (ordered.size + 1) // 2, 0
    for i in range(1, ordered.size - half + 1):
        if ordered[i + half - 1] - ordered[i] < ordered[first + half - 1] - ordered[first]:
            first = i
    return float(ordered[first + (half - 1) // 2])


@compiled
def _moments(stash: Any, count: int, j: int) -> tuple[float, float]:
    """Give the mean of a coordinate of the first observations, and the sum of squares about it."""
    mean, squares = 0.0, 0.0
    for i in range(count):
        off = stash[i, j] - mean
        mean += off / (i + 1)
        squares += off * (stash[i, j] - mean)
    return mean, squares


@compiled
def _by_differences(stash: Any, count: int, j: int, least: float) -> float:
    """Estimate a coordinate's spread from successive differences, generously."""
    steps, squares = np.empty(count - 1), 0.0
    for i in range(count - 1):
        steps[i] = abs(stash[i + 1, j] - stash[i, j])
        squares += steps[i] * steps[i] / (count - 1)
    usual = 1.4826 * _median(steps)
    return PROVISIONAL * (usual if usual > least else math.sqrt(squares)) / math.sqrt(2.0)


@compiled
def _learn_scale(prior: Prior, streams: Streams, slot: int) -> None:
    """Take centre and spread from the first observations; provisional ones from fewer than all."""
    stash = streams.stash[slot]
    count = streams.stashed[slot]
    sorted_ = np.empty(count)
    for j in range(stash.shape[1]):
        mean, squares = _moments(stash, count, j)
        if prior.family == POISSON:
            streams.scale[slot, j] = max(mean, 1.0 / count)
            continue
        for i in range(count):
            sorted_[i] = stash[i, j]
        middle = _median(sorted_)
        streams.centre[slot, j] = middle
        if count < stash.shape[0]:
            streams.centre[slot, j] = _middle_of_most(sorted_)
            least = max(1e-9 * abs(middle), 1e-90)
            streams.scale[slot, j] = max(_by_differences(stash, count, j, least), least)
            continue
        for i in range(count):
            sorted_[i] = abs(stash[i, j] - middle)
        spread, least = 1.4826 * _median(sorted_), max(1e-9 * abs(middle), 1e-90)
        streams.scale[slot, j] = max(
            spread if spread > least else math.sqrt(squares / count), least
        )


@compiled
def _scaled(prior: Prior, streams: Streams, slot: int, x: Any, into: Any) -> None:
    for j in range(x.size):
        if prior.family == POISSON:
            into[j] = x[j]
        else:
            value = (x[j] - streams.centre[slot, j]) / streams.scale[slot, j]
            into[j] = min(max(value, -FARTHEST), FARTHEST)


@compiled
def _put_aside(streams: Streams, slot: int, when: float, x: Any) -> None:
    """Keep one of the first observations, from which the scale is learnt."""
    count = streams.stashed[slot] + 1
    for j in range(x.size):
        streams.stash[slot, count - 1, j] = x[j]
    streams.stash_when[slot, count - 1] = when
    streams.stashed[slot] = count


@compiled
def _begin_anew(streams: Streams, slot: int) -> None:
    """Forget the filter's state, which was of another scale; what was announced stays."""
    streams.total[slot] = streams.size[slot] = streams.paths[slot] = 0
    streams.best[slot] = 0.0


@compiled
def _tell_start(streams: Streams, slot: int, row: int, dimensions: int, out: Steps) -> None:
    """Answer the first while they are one regime, described by what has come."""
    count = streams.stashed[slot]
    out.began[row], out.run[row] = streams.stash_when[slot, 0], count
    for j in range(dimensions):
        mean, squares = _moments(streams.stash[slot], count, j)
        out.mean[row, j], out.sd[row, j] = mean, math.sqrt(squares / max(count - 1, 1))


@compiled
def _parted(prior: Prior, streams: Streams, slot: int, odds: float) -> bool:
    """Tell whether the values that teach the scale may hold a change; counts bring their own."""
    count = streams.stashed[slot]
    if prior.family == POISSON or count > streams.stash.shape[1] or streams.told[slot] > 0:
        return True
    return bool(parts(streams.stash[slot], count, odds))


@compiled
def _changes(
    prior: Prior, streams: Streams, slot: int, hazard: float, recent: int, p: Any
) -> tuple[float, float]:
    """Give the probabilities that the regime began among the recent observations, and that not.

    The hypothesis that a regime begins next is left out: its probability is always the hazard.
    """
    total, learnt = streams.total[slot], streams.stash.shape[1]
    tried, untried, later, stays = 0.0, 0.0, 0.0, 0.0
    for i in range(streams.size[slot] - 1):
        start = streams.start[slot, i]
        if start == 0 or total - start > recent:
            stays += p[i]
        elif start >= learnt:
            later += p[i]
        elif total - start >= CONFIRMED:
            tried += p[i]
        else:
            untried += p[i]
    odds = 1.0 / hazard
    if tried + untried == 0.0 or _parted(prior, streams, slot, odds):
        return tried + untried + later, stays
    if tried + later >= odds * (untried + stays):
        return tried + later, untried + stays
    return later, tried + untried + stays


@compiled
def _tell(
    prior: Prior,
    streams: Streams,
    slot: int,
    row: int,
    hazard: float,
    recent: int,
    p: Any,
    out: Steps,
) -> None:
    """Answer from the posterior of the run length of the observation just taken."""
    total, width = streams.total[slot], 5 if prior.family == TREND else 2
    likely = 0
    for i in range(streams.size[slot] - 1):
        if p[i] > p[likely]:
            likely = i
    change, stays = _changes(prior, streams, slot, hazard, recent, p)
    start = streams.start[slot, likely]
    out.change[row] = min(change / (1.0 - hazard), 1.0)
    out.log_odds[row] = math.log((change + TINY) / (stays + TINY))
    out.start[row], out.run[row] = start, total - start
    out.began[row] = streams.began[slot, likely]
    for j in range(out.mean.shape[1]):
        own = streams.stats[slot, likely, width * j : width * j + 2]
        unit = 1.0 if prior.family == POISSON else streams.scale[slot, j]
        out.mean[row, j] = streams.centre[slot, j] + unit * own[0]
        out.sd[row, j] = unit * math.sqrt(own[1] / max(total - start - 1, 1))
    out.segment[row] = streams.path_start[
        slot, (streams.paths[slot] - 1) % streams.path_start.shape[1]
    ]
    if out.change[row] >= MORE_LIKELY_THAN_NOT and start > streams.told[slot]:
        out.announced[row] = True
        streams.told[slot] = start


@compiled
def advance(
    prior: Prior,
    streams: Streams,
    slots: I64Array,
    values: F64Array,
    when: F64Array,
    hazard: F64Array,
    recent: int,
    least: float,
    out: Steps,
) -> None:
    """Take a row for a stream each, in order; a stream may have several rows."""
    d, learn = values.shape[1], streams.stash.shape[1]
    p, x, scratch = np.empty(streams.start.shape[1]), np.empty(d), np.empty(d)
    for row in range(slots.size):
        slot = slots[row]
        if streams.stashed[slot] < learn:
            _put_aside(streams, slot, when[row], values[row])
            count = streams.stashed[slot]
            out.warming[row] = count < learn
            if count < min(FIRST_TOLD, learn):
                _tell_start(streams, slot, row, d, out)
                continue
            _begin_anew(streams, slot)
            _learn_scale(prior, streams, slot)
            for i in range(count - 1):
                _scaled(prior, streams, slot, streams.stash[slot, i], x)
                at = streams.stash_when[slot, i]
                step(prior, streams, slot, x, at, hazard[row], least, p, scratch)
        _scaled(prior, streams, slot, values[row], x)
        surprise = step(prior, streams, slot, x, when[row], hazard[row], least, p, scratch)
        for j in range(d):
            if prior.family == POISSON:
                surprise += math.lgamma(x[j] + 1.0)
            else:
                surprise += math.log(streams.scale[slot, j])
        out.surprise[row] = 0.0 if out.warming[row] else surprise
        if out.warming[row] and not _parted(prior, streams, slot, 1.0 / hazard[row]):
            _tell_start(streams, slot, row, d, out)
        else:
            _tell(prior, streams, slot, row, hazard[row], recent, p, out)
