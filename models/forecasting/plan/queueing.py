"""How many requests may wait: Little's law at the latency objective.

In a queue that is never empty, the mean number that wait is the rate at which they leave times the
time each waits (Little, A Proof for the Queuing Formula L = lambda W, Operations Research 1961). A
request served in its usual time meets the objective only if it waited no longer than the rest. So
a queue longer than rate x (objective - usual time) holds only requests that are late already, and
refusing one on arrival is kinder. Each worker may always find one request waiting.
"""

import numpy as np

from models.protocols import FloatArray, IntArray

LEAST_SHARE = 0.1
"""Of the objective, granted to waiting even where the service alone takes all of it."""
LONGEST = 1e9  # requests


def queue_capacity(
    rate: FloatArray, objective_ms: FloatArray, service_ms: FloatArray, workers: IntArray
) -> IntArray:
    """Bound each row's queue; more load, or a looser objective, never shortens it."""
    wait_ms = np.maximum(objective_ms - service_ms, LEAST_SHARE * objective_ms)
    waiting = np.ceil(np.minimum(rate * wait_ms / 1_000, LONGEST))
    longest: IntArray = np.maximum(waiting.astype(np.int64), workers)
    return longest
