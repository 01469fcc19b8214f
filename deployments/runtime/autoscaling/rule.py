"""The rule that says how many replicas a deployment is to have: it knows nothing of Serve.

A replica is added where what comes waits for the others, or where they have nearly a core each to
do. One is taken away where the others would have so little to do without it that no wait would add
it again: the same load never does both. It is one at a time, because nobody knows what another one
brings before it is there. For how long it must be so is Serve's to say, by upscale_delay_s and
downscale_delay_s.
"""

from dataclasses import dataclass, replace

# A replica works on one loop, so on one core; beyond this share of it batches wait for each other.
GROW_BUSY = 0.85
# A deadline is some hundred milliseconds for the whole way.
GROW_WAIT_S = 0.05
# Who waits for something else than a processor, as for Redis, gets nothing from another replica.
GROW_LEAST_BUSY = 0.25
REST_BUSY = GROW_LEAST_BUSY


@dataclass(frozen=True, slots=True)
class Seen:
    """One deployment, over the last few seconds."""

    running: int
    wanted: int  # as it was decided before
    busy_cores: float  # of all its replicas together
    wait_s: float  # how long what comes has to wait, where it waits longest


def grows(seen: Seen) -> bool:
    """Tell whether another replica would help; not while one that was asked for is on its way."""
    if not seen.running or seen.running != seen.wanted:
        return False
    share = seen.busy_cores / seen.running
    return share > GROW_BUSY or (seen.wait_s > GROW_WAIT_S and share > GROW_LEAST_BUSY)


def rests(seen: Seen) -> bool:
    """Tell whether one replica less would do.

    Whether anybody waits is not asked: for who has so little to do it is on a busy machine, or for
    something else, and another replica would not be added for it either. Where none runs, as when
    all were killed, nobody knows how much there is to do.
    """
    others = seen.wanted - 1
    return seen.running > 0 and others >= 1 and seen.busy_cores / others < REST_BUSY


def enough(seen: Seen) -> int:
    """Give the number that they would come to by taking one away after the other."""
    while rests(seen):
        seen = replace(seen, wanted=seen.wanted - 1)
    return seen.wanted
