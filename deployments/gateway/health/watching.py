"""Measures what must be seen also while those who would measure it are dead."""

from deployments.gateway.steering.drift import Drift
from deployments.runtime.replica import Replica
from observability.ledger.lag import drain_lag_s
from observability.snapshots import Retirement
from settings.redis_connection import REDIS_AWAY

# As often as the history drains: it is late by so much also while all is well.
LAG_SECONDS = 5.0
DRIFT_SECONDS = 5.0
RETIRE_SECONDS = 10.0


def watch_others(replica: Replica, drift: Drift) -> None:
    """Begin to measure; the loops end with the replica."""
    loops, retirement = replica.loops, Retirement(replica.redis, replica.clocks.monotonic)

    async def measure_lag() -> None:
        lag = await drain_lag_s(replica.redis)
        replica.metrics.ledger_drain_lag_seconds.set(lag)

    loops.start("ledger lag", measure_lag, lambda: LAG_SECONDS, expected=REDIS_AWAY)
    loops.start("look for drift", drift.look, lambda: DRIFT_SECONDS, expected=REDIS_AWAY)
    loops.start(
        "retire dead replicas", retirement.step, lambda: RETIRE_SECONDS, expected=REDIS_AWAY
    )
