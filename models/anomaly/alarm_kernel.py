"""Ranks a score among a stream's recent ones, and adds up the evidence that something changed."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.anomaly.record_kernel import (
    LAST,
    LEAST_EXCESS,
    LEAST_IN_STEPS,
    SCORE,
    THIS,
    WALK,
    Record,
    count_in,
    end_excursion,
    level,
    may_be_rare,
)
from models.compiled import compiled

F64Array = NDArray[np.float64]
I64Array = NDArray[np.int64]

BETS = (0.1, 0.3, 0.6)
"""Exponents of the bets b p^(b-1), each of mean 1 when p is uniform: on rare and on mild oddity."""
YOUNG, OLD = 0, 1
VARIED = 64
"""Observations of which so many differ are taken for continuous ones."""
MOST_AFTER = 6.0  # nats: so far an excursion that has rung may go on growing


class Memory(NamedTuple):
    scores: NDArray[np.float32]
    """(streams, 3 epochs): a ring."""
    labels: NDArray[np.uint16]
    """(streams, 3 epochs): what each of them was the score of."""
    total: I64Array
    """(streams): scores ever taken."""
    start: I64Array
    """(streams): which of them is the first since the last alarm."""
    seed: NDArray[np.uint64]
    evidence: F64Array
    """(streams, young and old, bets)"""
    peaks: NDArray[np.float32]
    held: I64Array
    seen: I64Array
    walk: F64Array
    high: F64Array
    told: I64Array
    """These six are its Record."""


class Rules(NamedTuple):
    epoch: int
    power: float
    recorded: bool
    """Whether an alarm must also be rare by the stream's own record."""
    spikes: bool
    """Whether a single score may ring, half of the budget being for that."""
    learning: int
    era: int


@compiled
def _above(
    scores: Any, labels: Any, first: int, end: int, score: Any, label: Any
) -> tuple[int, int]:
    """Count how many of the scores numbered first to end are greater, and how many tie.

    The same observation ties with itself, whatever scores it had.
    """
    size = scores.size
    greater, equal = np.int32(0), np.int32(0)  # narrow counters: 12 times as fast
    while first < end:
        begin = first % size
        stop = min(size, begin + end - first)
        for i in range(begin, stop):
            same = (labels[i] == label) | (scores[i] == score)
            equal += np.int32(same)
            greater += np.int32((scores[i] > score) & (not same))
        first += stop - begin
    return int(greater), int(equal)


@compiled
def _draw(seed: np.uint64, count: int) -> float:
    """Give number `count` of a sequence of uniforms (SplitMix64), strictly between 0 and 1."""
    bits = seed + np.uint64(count + 1) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = bits ^ (bits >> np.uint64(31))
    return (np.float64(bits >> np.uint64(11)) + 0.5) / np.float64(1 << 53)


@compiled
def _p_value(greater: int, equal: int, count: int, draw: float) -> float:
    return (greater + draw * (equal + 1)) / (count + 1)


@compiled
def _bet(evidence: Any, share: float, p_value: float, power: float) -> float:
    """Bet on a small p-value; a share of the budget starts anew, what there was goes on."""
    log_p, sum_ = math.log(p_value), 0.0
    for i in range(len(BETS)):
        gain = BETS[i] * math.exp((BETS[i] - 1.0) * log_p)
        if power != 1.0:
            gain = gain**power
        evidence[i] = (evidence[i] + share / len(BETS)) * gain
        sum_ += evidence[i]
    return sum_


@compiled
def _log_gain(p_value: float) -> float:
    """Give the logarithm of the mean of the bets."""
    log_p, gain = math.log(p_value), 0.0
    for i in range(len(BETS)):
        gain += BETS[i] * math.exp((BETS[i] - 1.0) * log_p)
    return math.log(gain / len(BETS))


@compiled
def _least_excess(memory: Memory, slot: int, which: int) -> float:
    """Say how far peaks are taken to lie apart at the least: further where they come in steps."""
    if which == WALK:
        return LEAST_IN_STEPS
    labels = np.sort(memory.labels[slot, : min(memory.total[slot], memory.labels.shape[1])])
    different = 1
    for i in range(1, labels.size):
        different += labels[i] != labels[i - 1]
    return LEAST_EXCESS if different >= VARIED else LEAST_IN_STEPS


@compiled
def _recorded(
    memory: Memory, rules: Rules, slot: int, score: float, p_value: float, share: float, won: bool
) -> bool:
    """Go on with the excursion; ring when it is rarer than the budget allows, once for each."""
    record = Record(memory.peaks, memory.held, memory.seen, memory.walk, memory.high, memory.told)
    walk = max(0.0, record.walk[slot] + _log_gain(p_value))
    record.walk[slot] = min(walk, MOST_AFTER) if record.told[slot] else walk
    if walk == 0.0 and record.high[slot, WALK] > 0.0:
        end_excursion(record, slot)
    rings = False
    known = record.seen[slot, THIS] + record.seen[slot, LAST] >= rules.learning
    for which in (SCORE, WALK):
        value = score if which == SCORE else walk
        fresh = walk > 0.0 and (record.high[slot, WALK] == 0.0 or value > record.high[slot, which])
        if not fresh or record.told[slot]:
            continue
        top = math.inf
        allowed = won if which == WALK else rules.spikes
        if known and allowed and may_be_rare(record, slot, which, value):
            top = level(record, slot, which, share, _least_excess(memory, slot, which))
        record.high[slot, which] = min(value, top)
        rings = rings or value >= top
    count_in(record, slot, rules.era)
    if rings:
        record.told[slot] = 1
    return rings


@compiled
def judge(
    memory: Memory,
    rules: Rules,
    slots: I64Array,
    scores: Any,
    labels: Any,
    shares: F64Array,
    p_value: F64Array,
    evidence: F64Array,
    alarm: NDArray[np.bool_],
) -> None:
    epoch, power = rules.epoch, rules.power
    for row in range(slots.size):
        slot, score, label = slots[row], scores[row], labels[row]
        ring, named, now = memory.scores[slot], memory.labels[slot], memory.total[slot]
        start = memory.start[slot]
        age = now - start
        if age > 0 and age % epoch == 0:
            memory.evidence[slot, OLD] = memory.evidence[slot, YOUNG]
            memory.evidence[slot, YOUNG] = 0.0
        since_young = start + max(0, age // epoch - 1) * epoch
        since_old = start + max(0, age // epoch - 2) * epoch
        since_all = max(0, now - ring.size)
        young, young_ties = _above(ring, named, since_young, now, score, label)
        old, old_ties = _above(ring, named, since_old, since_young, score, label)
        rest, rest_ties = _above(ring, named, since_all, since_old, score, label)
        old, old_ties = old + young, old_ties + young_ties
        rest, rest_ties = rest + old, rest_ties + old_ties
        draw = _draw(memory.seed[slot], now)
        p_value[row] = _p_value(rest, rest_ties, now - since_all, draw)
        among_young = _p_value(young, young_ties, now - since_young, draw)
        among_old = _p_value(old, old_ties, now - since_old, draw)
        spent = 0.5 * shares[row] if rules.spikes else shares[row]
        for_young = _bet(memory.evidence[slot, YOUNG], spent, among_young, power)
        for_old = _bet(memory.evidence[slot, OLD], 0.0, among_old, power)
        evidence[row] = max(for_young, for_old)
        ring[now % ring.size], named[now % ring.size] = score, label
        memory.total[slot] = now + 1
        rings = won = evidence[row] >= 1.0
        if rules.recorded:
            rings = _recorded(memory, rules, slot, float(score), p_value[row], spent, won)
        if rings:
            alarm[row] = True
            memory.start[slot] = now + 1
            memory.evidence[slot] = 0.0
