"""What a study takes in memory, and that its estimate is no dream."""

import tracemalloc
from typing import Any

import orjson
import pytest

from deployments.optimization.studies.beginning import steps
from deployments.optimization.studies.state import KeptStudy, apply, size_of


def begun(candidates: int, dimensions: int, trials: int) -> tuple[KeptStudy, int]:
    """Begin a study as its log tells it; give what that took in bytes."""
    names = [f"x{at}" for at in range(dimensions)]
    listed = [dict.fromkeys(names, (at + 1) / (candidates + 2)) for at in range(candidates)]
    space = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in names}
    stated: dict[str, Any] = {"space": space} | ({"candidates": listed} if listed else {})
    event = orjson.dumps(steps(None, {"op": "ask", "design": stated}))
    tracemalloc.start()
    kept = KeptStudy("s")
    apply(kept, orjson.loads(event))
    for at in range(trials):
        parameters = listed[at] if listed else dict.fromkeys(names, at / trials)
        apply(kept, {"ask": [f"{at:036d}", dict(parameters), None]})
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return kept, taken


@pytest.mark.parametrize(
    ("candidates", "dimensions", "trials"), [(0, 2, 200), (2_000, 1, 0), (2_000, 8, 100)]
)
def test_the_estimate_is_near_and_no_candidate_keeps_a_write_buffer(
    candidates: int, dimensions: int, trials: int
) -> None:
    kept, taken = begun(candidates, dimensions, trials)
    assert taken / 2 < size_of(kept) < 4 * taken
    assert taken < 2_000 * (candidates + trials)  # it was 4,400 for each candidate
