"""What a gateway counts while it answers, written into its metrics once a second."""

from collections.abc import Callable

from deployments.gateway.features.reader import FeatureReader
from deployments.gateway.lanes.lanes import Lanes
from deployments.gateway.pipeline.timings import Stopwatch
from deployments.gateway.stages.hops import Hops
from deployments.gateway.steering.choice import SteeredChoice, VersionChoice
from observability.ledger.writer import LedgerWriter
from observability.metrics import Metrics


class GatewayCounts:
    """Notes answers as they leave, and reads the other parts when the metrics are written."""

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
