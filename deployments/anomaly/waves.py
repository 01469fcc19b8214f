"""Which rows of a batch go through the detectors in one call: a wave.

A wave has rows of different streams, and of one stream those that follow each other, as long as the
answer to each can still be told: a body of a thousand rows of one stream takes about as long as one
row of a thousand values. A row that asks a stream something else than to observe is answered in a
wave of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any

from deployments.anomaly.operations import Look, Observe
from deployments.anomaly.stream import Stream
from deployments.runtime.state.handler import StateRequest


def next_wave(
    rows: Sequence[tuple[Stream, StateRequest]],
    left: Sequence[int],
    most_together: Callable[[Stream], int],
) -> tuple[list[int], list[int]]:
    """Part the rows that are left into those that can be answered together now, and the others."""
    wave, rest = list[int](), list[int]()
    room: dict[str, int] = {}
    for at in left:
        stream, request = rows[at]
        size = count_observations(request.ask)
        if stream.name not in room:
            wave.append(at)
            # What a stream is begun with is known when its first row has been taken.
            alone = size is None or stream.record.latest is None
            room[stream.name] = -1 if alone else most_together(stream) - (size or 0)
        elif size is not None and room[stream.name] >= size:
            wave.append(at)
            room[stream.name] -= size
        else:
            rest.append(at)
            room[stream.name] = -1  # those behind it keep their order
    return wave, rest


def count_observations(ask: Observe[Any, Any] | Look) -> int | None:
    """Count the observations of a row; None where it asks something else."""
    return len(ask["values"]) if ask["op"] == "observe" else None
