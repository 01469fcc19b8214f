"""What a gateway counts while it answers, and what it measures for parts that may be dead."""

from collections.abc import Callable

from deployments.gateway.features.reader import FeatureReader
from deployments.gateway.lanes.lanes import Lanes
from deployments.gateway.pipeline.timings import Stopwatch
from deployments.gateway.stages.hops import Hops
from deployments.gateway.steering.choice import SteeredChoice, VersionChoice
from deployments.gateway.steering.drift import Drift
from deployments.runtime.replica import Replica
from observability.ledger.lag import drain_lag_s
from observability.ledger.writer import LedgerWriter
from observability.metrics import Metrics
from observability.snapshots import Retirement
from settings.redis_connection import REDIS_AWAY

LAG_SECONDS = 1.0
DRIFT_SECONDS = 5.0
RETIRE_SECONDS = 10.0


class GatewayCounts:
    """Notes answers as they leave; all is written into the metrics once a second."""

    def __init__(
        self,
        metrics: Metrics,
        note_work: Callable[[], None],
        stopwatch: Stopwatch,
        lanes: Lanes,
        choice: VersionChoice,
        steered: SteeredChoice,
        hops: Hops,
        features: FeatureReader,
        ledger: LedgerWriter,
    ) -> None:
        self._metrics = metrics
        self._note_work = note_work
        self._stopwatch = stopwatch
        self._lanes = lanes
        self._choice = choice
        self._steered = steered
        self._hops = hops
        self._features = features
        self._ledger = ledger
        self._answered: dict[tuple[str, int], list[float]] = {}

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Note an answer; counting by the second costs a fraction of counting each."""
        self._answered.setdefault((endpoint, status), []).append(seconds)
        self._note_work()

    def write(self) -> None:
        """Write down what was noted since the last time, and how the parts stand."""
        self._stopwatch.write()
        noted, self._answered = self._answered, {}
        for (endpoint, status), seconds in noted.items():
            self._metrics.answered(endpoint, status, seconds)
        self._write_lanes()
        self._write_steering()
        hits, misses = self._features.vectors.take_counts()
        self._metrics.cached(hits, misses)
        self._metrics.ledger_degraded.set(self._ledger.degraded)
        self._metrics.ledger_spool_entries.set(self._ledger.spooled_entries)

    def _write_lanes(self) -> None:
        for family, lane in self._lanes.by_family.items():
            self._metrics.lane_waiting_rows.labels(family).set(lane.waiting_rows)
            refused, lane.refused_rows = lane.refused_rows, 0
            self._metrics.lane_refused_rows.labels(family).inc(refused)
        for (family, outcome), rows in self._lanes.shadows.take_counts().items():
            self._metrics.shadow_rows.labels(family, outcome).inc(rows)

    def _write_steering(self) -> None:
        self._metrics.steering_behind_seconds.set(self._steered.behind_seconds)
        if (active := self._choice.active()) is not None:
            for stage, transport in self._hops.transports.items():
                avoided = transport.avoided(active.config_hash)
                self._metrics.replicas_avoided.labels(stage).set(avoided)


def watch_others(replica: Replica, drift: Drift) -> None:
    """Begin to measure what others would, were they alive; the loops end with the replica."""
    loops, retirement = replica.loops, Retirement(replica.redis, replica.clocks.monotonic)

    async def measure_lag() -> None:
        lag = await drain_lag_s(replica.redis)
        replica.metrics.ledger_drain_lag_seconds.set(lag)

    loops.start("ledger lag", measure_lag, lambda: LAG_SECONDS, expected=REDIS_AWAY)
    loops.start("look for drift", drift.look, lambda: DRIFT_SECONDS, expected=REDIS_AWAY)
    loops.start(
        "retire dead replicas", retirement.step, lambda: RETIRE_SECONDS, expected=REDIS_AWAY
    )
