"""One step of Bayesian online change-point detection for one stream.

The step weighs every hypothesis by how well it predicted the observation, lets each end with the
probability `hazard`, and opens a new one that begins with the next observation.
"""

import math
from typing import Any

from models.anomaly.bocpd_densities import predict
from models.anomaly.bocpd_state import WISHART, Prior, Streams
from models.compiled import compiled


@compiled
def _open(prior: Prior, streams: Streams, slot: int, at: int, start: int, prefix: float) -> None:
    """Begin a hypothesis that has seen nothing."""
    streams.start[slot, at] = start
    streams.began[slot, at] = 0.0
    streams.prefix[slot, at] = prefix
    for j in range(streams.stats.shape[2]):
        streams.stats[slot, at, j] = 0.0
    if prior.family == WISHART:
        d = streams.centre.shape[1]
        for j in range(d):
            streams.stats[slot, at, 2 * d + j * (j + 1) // 2 + j] = math.sqrt(2.0 * prior.beta)


@compiled
def _weigh(
    prior: Prior, streams: Streams, slot: int, x: Any, hazard: float, p: Any, scratch: Any
) -> float:
    """Update every hypothesis by an observation; fill p, give minus its log predictive density."""
    size, total = streams.size[slot], streams.total[slot]
    log_p = streams.log_p[slot]
    most, most_plain = -math.inf, -math.inf
    for i in range(size):
        n = total - streams.start[slot, i]
        density = predict(prior, streams.stats[slot, i], n, x, streams.scale[slot], scratch)
        p[i] = log_p[i] + density
        log_p[i] += prior.weight * density
        streams.log_own[slot, i] += prior.weight * density
        most, most_plain = max(most, log_p[i]), max(most_plain, p[i])
    sum_, plain = 0.0, 0.0
    whole = prior.weight == 1.0  # the two are one then, and half of the exponentials
    for i in range(size):
        if not whole:
            plain += math.exp(p[i] - most_plain)
        p[i] = math.exp(log_p[i] - most)
        sum_ += p[i]
    if whole:
        plain = sum_
    evidence, stays = most + math.log(sum_), math.log1p(-hazard)
    for i in range(size):
        log_p[i] += stays - evidence
        streams.log_own[slot, i] += stays - evidence
        p[i] *= (1.0 - hazard) / sum_
    return -(most_plain + math.log(plain))


@compiled
def _fold(streams: Streams, slot: int, i: int, p: Any) -> None:
    """Hand the probability of a hypothesis to the neighbour of most similar age; drop it."""
    size, now = streams.size[slot], streams.total[slot]
    start = streams.start[slot]
    older = (start[i] - start[i - 1]) / (now + 1 - start[i - 1]) if i > 0 else math.inf
    younger = (start[i + 1] - start[i]) / (now + 1 - start[i])
    heir = i - 1 if older < younger else i + 1
    p[heir] += p[i]
    if p[heir] > 0.0:
        streams.log_p[slot, heir] = math.log(p[heir])
    for k in range(i, size - 1):
        p[k] = p[k + 1]
        start[k] = start[k + 1]
        streams.began[slot, k] = streams.began[slot, k + 1]
        streams.log_p[slot, k] = streams.log_p[slot, k + 1]
        streams.log_own[slot, k] = streams.log_own[slot, k + 1]
        streams.prefix[slot, k] = streams.prefix[slot, k + 1]
        for j in range(streams.stats.shape[2]):
            streams.stats[slot, k, j] = streams.stats[slot, k + 1, j]
    streams.size[slot] = size - 1


@compiled
def _cheapest(streams: Streams, slot: int, keep: int, p: Any, least: float) -> int:
    """Choose what to fold: any hypothesis under `least`, else the one that moves fewest years.

    Cost is probability times the distance to its heir as a share of its age. -1: none needs to go.
    """
    size, now = streams.size[slot], streams.total[slot]
    start = streams.start[slot]
    room = size < start.size
    chosen, lowest = -1, math.inf
    for i in range(size - 2):  # the last two have hardly been tried
        if i == keep:
            continue
        if p[i] < least:
            return i
        gap = (start[i + 1] - start[i]) / (now + 1 - start[i])
        if i > 0:
            gap = min(gap, (start[i] - start[i - 1]) / (now + 1 - start[i - 1]))
        if p[i] * gap < lowest:
            chosen, lowest = i, p[i] * gap
    return -1 if room else chosen


@compiled
def _follow(streams: Streams, slot: int) -> int:
    """Extend the best segmentation; give the hypothesis that its last segment follows."""
    size = streams.size[slot]
    best, where = -math.inf, 0
    for i in range(size):
        score = streams.log_own[slot, i] + streams.prefix[slot, i]
        if score > best:
            best, where = score, i
    streams.best[slot] = best
    entries = streams.path_from.shape[1]
    start, count = streams.start[slot, where], streams.paths[slot]
    if count == 0 or streams.path_start[slot, (count - 1) % entries] != start:
        streams.path_from[slot, count % entries] = streams.total[slot]
        streams.path_start[slot, count % entries] = start
        streams.path_began[slot, count % entries] = streams.began[slot, where]
        streams.paths[slot] = count + 1
    return where


@compiled
def step(
    prior: Prior,
    streams: Streams,
    slot: int,
    x: Any,
    when: float,
    hazard: float,
    least: float,
    p: Any,
    scratch: Any,
) -> float:
    if streams.total[slot] == 0:
        _open(prior, streams, slot, 0, 0, 0.0)
        streams.log_p[slot, 0] = streams.log_own[slot, 0] = 0.0
        streams.size[slot] = 1
    last = streams.size[slot] - 1
    streams.began[slot, last] = when
    before = streams.best[slot]
    surprise = _weigh(prior, streams, slot, x, hazard, p, scratch)
    total = streams.total[slot] + 1
    streams.total[slot] = total
    _open(prior, streams, slot, last + 1, total, before)
    streams.log_p[slot, last + 1] = streams.log_own[slot, last + 1] = math.log(hazard)
    p[last + 1] = hazard
    streams.size[slot] = last + 2
    keep = _follow(streams, slot)
    while True:
        drop = _cheapest(streams, slot, keep, p, least)
        if drop < 0:
            return surprise
        _fold(streams, slot, drop, p)
        keep -= keep > drop
