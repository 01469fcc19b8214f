"""Which of the replicas that are missing are on their way, and which are asked for in vain.

Serve waits for a place without an end, and shows a policy only how many replicas are wanted and how
many run. One that waits takes the first place that somebody leaves, and that may be the place of a
replica that was killed and is about to come back. So it is remembered here why each is missing. It
was asked for because there was room, or it ran until now and Serve starts another in its place:
then it is on its way, for a while. Any other one is in doubt, as what is left of a number that an
operator has asked for and has taken back: for that one there must be room now.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

# A replica begins within some seconds, and within half a minute on a machine that is busy. One of a
# node that was lost has no place either, and is given up after that time.
ON_ITS_WAY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One deployment, as Serve has it now."""

    running: int
    wanted: int
    least: int  # what the operator wants of it at any rate
    cpus: float  # that one replica reserves; 0 where none runs, for none says so


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of its replicas that do not run."""

    coming: int
    in_doubt: int
    lowered_by: int  # so much less than before is wanted at any rate
    cpus: float


@dataclass(slots=True)
class _Known:
    """One deployment, as it was at the decision before."""

    asked: Asked
    decided: int
    until: list[float] = field(default_factory=list)  # when those on their way should have come


class Pending:
    """Is shown every deployment at each decision, and told each decision."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[Hashable, _Known] = {}

    def look(self, key: Hashable, asked: Asked) -> Standing:
        now, before = self._clock(), self._known.get(key)
        missing = max(asked.wanted - asked.running, 0)
        if before is None:
            # Serve's controller has just begun: it may be finding again what runs.
            known = _Known(asked, asked.wanted, [now + ON_ITS_WAY_SECONDS] * missing)
        else:
            # What a replica reserves is known also while none runs.
            asked = replace(asked, cpus=asked.cpus or before.asked.cpus)
            known = _Known(asked, asked.wanted, _on_their_way(before, asked, now))
        coming = min(len(known.until), missing)
        known.until = known.until[len(known.until) - coming :]
        self._known[key] = known
        return Standing(
            coming=coming,
            in_doubt=missing - coming,
            lowered_by=max(before.asked.least - asked.least, 0) if before else 0,
            cpus=asked.cpus,
        )

    def decide(self, key: Hashable, wanted: int) -> None:
        """Remember for how many there was room; Serve does it now, later or never."""
        self._known[key].decided = wanted


def _on_their_way(before: _Known, asked: Asked, now: float) -> list[float]:
    arrived = max(asked.running - before.asked.running, 0)
    lost = max(before.asked.running - asked.running, 0)
    added = max(min(asked.wanted, before.decided) - before.asked.wanted, 0)
    late = [each for each in before.until[arrived:] if each > now]
    return late + [now + ON_ITS_WAY_SECONDS] * (lost + added)


PENDING = Pending()
