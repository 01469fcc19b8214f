"""What a process counts and measures. The names are a contract: dashboards and alerts use them.

Everything is recorded a batch at a time, so that counting costs less than a row.
"""

import math

from prometheus_client import CollectorRegistry, Counter, Gauge

from observability.background import Loops
from observability.exposition import GaugeRule
from observability.histogram import BatchHistogram, Values

# Dense where clients were promised a latency: 5 to 300 ms.
SECONDS = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08),
    *(0.1, 0.12, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
ROWS = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 512, 1024)

# How the gauges of several replicas become one. What is not named here: the largest.
GAUGE_RULES: dict[str, GaugeRule] = {
    "config_version": "max",
    "config_drift": "max",
    "steering_age_seconds": "max",
    "steering_behind_seconds": "max",
    "replicas_avoided": "max",
    "emergency_mode": "max",
    "interval_coverage": "mean",
    "state_resident_bytes": "sum",
    "redis_memory_used_bytes": "latest",
    "redis_memory_limit_bytes": "latest",
    "home_disk_free_bytes": "min",
    "ledger_degraded": "max",
    "ledger_spool_entries": "sum",
    "ledger_drain_lag_seconds": "max",
    "lane_waiting_rows": "sum",
    "lane_wait_seconds": "max",
    "replica_busy_cores": "sum",
    "replica_wait_seconds": "max",
    "background_last_success_age_seconds": "max",
    "source_newest_interval_age_seconds": "max",
    "source_breaker_open": "max",
}


class Metrics:
    """The metrics of one process. Gauges are set where the value is known; the rest is counted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.loops = Loops()
        registry.register(self.loops)
        self._count_requests()
        self._count_models()
        self._count_platform()
        self._count_sources()

    def answered(self, endpoint: str, status: int, seconds: Values) -> None:
        """Count requests that were answered with one status, each with its latency."""
        self.http_requests.labels(endpoint, str(status)).inc(len(seconds))
        self.http_request_duration.observe(seconds, endpoint)

    def inferred(self, model: str, seconds: float) -> None:
        """Count one call of a model, for however many rows."""
        self.model_inference_duration.observe((seconds,), model)

    def violated(self, model_type: str, severity: str, rows: int = 1) -> None:
        """Count rows that broke the safety policy."""
        self.safety_violations.labels(model_type, severity).inc(rows)

    def cached(self, hits: int, misses: int) -> None:
        """Count features that were, or were not, in the cache."""
        self.feature_cache_hits.inc(hits)
        self.feature_cache_misses.inc(misses)

    def _count_requests(self) -> None:
        self.http_requests = self._counter(
            "http_requests_total", "Requests answered.", "endpoint", "status"
        )
        self.http_request_duration = self._histogram(
            "http_request_duration_seconds", "From a request's arrival to its answer.", "endpoint"
        )
        self.lane_batch_rows = BatchHistogram(
            "lane_batch_rows",
            "Rows in a batch that left a lane.",
            ["family"],
            bounds=ROWS,
            registry=self.registry,
        )
        self.lane_stage_seconds = self._histogram(
            "lane_stage_seconds", "One stage of a batch's way through the DAG.", "family", "stage"
        )
        self.lane_waiting_rows = self._gauge(
            "lane_waiting_rows", "Rows waiting for a free slot of their lane.", "family"
        )
        self.lane_refused_rows = self._counter(
            "lane_refused_rows_total", "Rows answered 503 because the lane was full.", "family"
        )
        self.shadow_rows = self._counter(
            "shadow_rows_total",
            "Rows that a shadow rollout's candidate was to answer beside the active version: "
            "answered, failed, or dropped under load.",
            "family",
            "outcome",
        )
        self.quota_refusals = self._counter(
            "quota_refusals_total",
            "Refusals because a key had exceeded a quota: requests, rows, or states that it "
            "created.",
            "quota",
        )

    def _count_models(self) -> None:
        self.model_inference_duration = self._histogram(
            "model_inference_duration_seconds", "One call of a model for a batch.", "model"
        )
        self.model_fallbacks = self._counter(
            "model_fallbacks_total", "Rows answered by a model's fallback.", "model"
        )
        self.safety_violations = self._counter(
            "safety_violations_total",
            "Rows that broke the safety policy.",
            "model_type",
            "severity",
        )
        self.interval_coverage = self._gauge(
            "interval_coverage", "Share of outcomes that fell into their interval.", "model"
        )

    def _count_platform(self) -> None:
        self.feature_cache_hits = self._counter(
            "feature_cache_hits_total", "Features found in the cache."
        )
        self.feature_cache_misses = self._counter(
            "feature_cache_misses_total", "Features not found in the cache."
        )
        self.config_version = self._gauge(
            "config_version", "The configuration version that answers carry."
        )
        self.config_drift = self._gauge(
            "config_drift",
            "Replicas that go by another configuration than the active one, that lag, or that "
            "report no more, and things in Redis that no command of this platform wrote.",
            "where",
        )
        self.steering_age_seconds = self._gauge(
            "steering_age_seconds", "Seconds since a process last read the steering state."
        )
        self.steering_behind_seconds = self._gauge(
            "steering_behind_seconds",
            "For how long a gateway has answered by an older steering state than it saw, for want "
            "of a document.",
        )
        self.lane_wait_seconds = self._gauge(
            "lane_wait_seconds",
            "How long a row waits in a gateway's lane because batches are at this stage.",
            "stage",
        )
        self.replica_busy_cores = self._gauge(
            "replica_busy_cores", "Cores that the replicas of a deployment use.", "deployment"
        )
        self.replica_wait_seconds = self._gauge(
            "replica_wait_seconds",
            "How late the event loop of a deployment's replica comes to what is due.",
            "deployment",
        )
        self.replicas_avoided = self._gauge(
            "replicas_avoided",
            "Replicas that get no rows of the active version because they lack it.",
            "stage",
        )
        self.emergency_mode = self._gauge(
            "emergency_mode", "1 while every family answers its fallback because of an emergency."
        )
        self.state_resident_bytes = self._gauge(
            "state_resident_bytes", "Estimated memory that states use in replicas.", "kind"
        )
        self.state_evictions = self._counter(
            "state_evictions_total",
            "States that left memory because they were idle or memory was short.",
            "kind",
        )
        self.redis_memory_used_bytes = self._gauge(
            "redis_memory_used_bytes", "Memory that Redis uses for its data."
        )
        self.redis_memory_limit_bytes = self._gauge(
            "redis_memory_limit_bytes", "Redis's maxmemory, or its machine's whole memory."
        )
        self.home_disk_free_bytes = self._gauge(
            "home_disk_free_bytes", "Free space on the disk under BALLAST_HOME."
        )
        for storage in (
            self.redis_memory_used_bytes,
            self.redis_memory_limit_bytes,
            self.home_disk_free_bytes,
        ):
            storage.set(math.nan)  # a process that has not looked must not say that nothing is free
        self.ledger_degraded = self._gauge(
            "ledger_degraded",
            "1 while decisions are written to the local spool because Redis cannot be reached.",
        )
        self.ledger_spool_entries = self._gauge(
            "ledger_spool_entries", "Entries in local spools, not yet in Redis."
        )
        self.ledger_drain_lag_seconds = self._gauge(
            "ledger_drain_lag_seconds", "Age of the oldest decision that is not in ClickHouse yet."
        )
        self.telemetry_posted_rows = self._counter(
            "telemetry_posted_rows_total",
            "Intervals of entities that clients posted and that were taken.",
            "source",
        )
        self.telemetry_posted_lines = self._counter(
            "telemetry_posted_lines_total",
            "Lines of logs that clients posted, taken or refused.",
            "source",
            "outcome",
        )
        self.remote_write_samples = self._counter(
            "remote_write_samples_total",
            "Samples of needed series that a Prometheus wrote, taken or refused.",
            "source",
            "outcome",
        )
        self.remote_write_unneeded_series = self._counter(
            "remote_write_unneeded_series_total",
            "Series in remote writes that no rule of the source's mapping needs.",
            "source",
        )
        self.telemetry_dead_letters = self._counter(
            "telemetry_dead_letters_total",
            "Posted telemetry kept in a separate stream because it cannot be read or stored.",
        )
        self.ledger_dead_letters = self._counter(
            "ledger_dead_letters_total",
            "Ledger entries kept in a separate stream because they cannot be read or stored.",
        )

    def _count_sources(self) -> None:
        self.source_age_seconds = self._gauge(
            "source_newest_interval_age_seconds",
            "Seconds since the newest interval began that a source of telemetry gave.",
            "source",
        )
        self.source_breaker_open = self._gauge(
            "source_breaker_open", "1 while a source that failed is left alone.", "source"
        )
        self.source_rows = self._counter(
            "source_rows_total", "Rows of telemetry stored, by source.", "source"
        )
        self.source_complaints = self._counter(
            "source_complaints_total", "What was wrong with telemetry.", "source", "fault"
        )

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(name, documentation, labels, registry=self.registry)

    def _histogram(self, name: str, documentation: str, *labels: str) -> BatchHistogram:
        return BatchHistogram(name, documentation, labels, bounds=SECONDS, registry=self.registry)
