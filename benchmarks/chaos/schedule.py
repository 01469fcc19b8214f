"""What is done to whom, and when: a pure function of the seed.

The kinds of processes take turns in an order drawn anew each round, so that forty faults meet every
kind, and most of them twice; a kind that was killed is stopped the next time. A step is one
fault, two different ones at once, or, once every kind was met, a burst: the same kind killed again
and again, a moment after each.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.chaos.targets import TARGETS, Target

STOPPED_SECONDS = (3.0, 8.0)
PAIR_SHARE, BURST_SHARE = 0.25, 0.2
BURST = 3


class Action(StrEnum):
    KILL = "kill"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Fault:
    """One signal to one process."""

    target: str
    action: Action
    seconds: float  # how long it stays stopped; 0 for a kill
    choice: float  # which of the processes of its kind, as a share of their number

    def __str__(self) -> str:
        lasting = f" {self.seconds:.1f} s" if self.action is Action.STOP else ""
        return f"{self.action} {self.target}{lasting}"


@dataclass(frozen=True, slots=True)
class Step:
    """Faults that belong together; after them comes a pause until all is well again."""

    faults: tuple[Fault, ...]
    apart_seconds: float  # between one fault and the next; 0 is at once
    lead_seconds: float  # undisturbed load before it

    def __str__(self) -> str:
        joined = " + " if self.apart_seconds == 0 else f", {self.apart_seconds:.1f} s later "
        return joined.join(map(str, self.faults))


def plan(seed: int, faults: int, targets: Sequence[Target] = TARGETS) -> list[Step]:
    """Give the steps of a campaign of so many faults."""
    rng = random.Random(seed)  # noqa: S311 - a campaign to be run again, not a secret
    turns = _turns(rng, targets)
    steps: list[Step] = []
    left = faults
    while left:
        all_met = faults - left >= len(targets)  # a burst takes the room of other kinds
        step = _step(rng, turns, left, bursts=all_met)
        steps.append(step)
        left -= len(step.faults)
    return steps


def _turns(rng: random.Random, targets: Sequence[Target]) -> Iterator[Fault]:
    kills_next = {target.name: bool(rng.getrandbits(1)) for target in targets}
    for turn in itertools.count():
        present = [target for target in targets if turn % 2 == 0 or not target.minor]
        for target in rng.sample(present, len(present)):
            kills = kills_next[target.name] and target.may_be_killed
            yield _fault(rng, target.name, Action.KILL if kills else Action.STOP)
            kills_next[target.name] = not kills_next[target.name]


def _fault(rng: random.Random, target: str, action: Action) -> Fault:
    seconds = round(rng.uniform(*STOPPED_SECONDS), 1)  # drawn for kills too: one stream of draws
    return Fault(target, action, seconds if action is Action.STOP else 0.0, rng.random())


def _step(rng: random.Random, turns: Iterator[Fault], left: int, *, bursts: bool) -> Step:
    kind, lead = rng.random(), round(rng.uniform(0.5, 2.0), 1)
    first = next(turns)
    if bursts and kind < BURST_SHARE and left >= BURST and first.action is Action.KILL:
        again = (_fault(rng, first.target, Action.KILL) for _ in range(BURST - 1))
        return Step((first, *again), round(rng.uniform(0.2, 1.5), 1), lead)
    if kind > 1 - PAIR_SHARE and left > 1:
        return Step((first, next(turns)), 0.0, lead)
    return Step((first,), 0.0, lead)
