"""What the names of columns mean, with the unit that a name tells; a unit is never guessed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from features.sources.rules import Metric

# The likeliest first.
TIMES: Final = (
    *("timestamp", "time", "ts", "event_time", "datetime", "date_time", "at", "time_unix"),
    *("minute", "bucket", "interval", "interval_start", "window_start", "period_start"),
    *("created_at", "start_time", "request_time_utc", "logged_at", "received_at"),
)
ENTITIES: Final = (
    *("service_name", "service", "entity", "app", "app_name", "application", "application_name"),
    *("component", "deployment", "workload", "job", "job_name", "upstream", "backend", "queue"),
    *("container", "container_name", "host", "hostname", "host_name", "server_name"),
)
SERIES: Final = (
    *("instance", "instance_id", "pod", "pod_name", "container_id", "replica", "shard"),
    *("node", "node_name", "region", "zone", "availability_zone", "az", "datacenter", "dc"),
    *("cluster", "endpoint", "route", "method", "version", "host", "hostname", "host_name"),
)
# From each unit to milliseconds.
UNITS: Final[Mapping[str, float]] = {
    **dict.fromkeys(("ms", "millis", "msec", "milliseconds"), 1.0),
    **dict.fromkeys(("s", "sec", "secs", "seconds"), 1000.0),
    **dict.fromkeys(("us", "micros", "usec", "microseconds"), 1e-3),
    **dict.fromkeys(("ns", "nanos", "nsec", "nanoseconds"), 1e-6),
}
LEVELS: Final[Mapping[str, Metric]] = {
    **dict.fromkeys(("p50", "median", "q50"), "p50_ms"),
    **dict.fromkeys(("p95", "q95"), "p95_ms"),
    **dict.fromkeys(("p99", "q99"), "p99_ms"),
    **dict.fromkeys(("p999", "q999"), "p999_ms"),
}
_LATENCY: Final = {"latency", "latencies", "duration", "elapsed", "took", "lat", "rt"} | {
    *("response", "request", "processing", "handling", "process", "time", "http", "server"),
}
_PERCENT: Final = {"pct", "percent", "percentage"}
_SHARE: Final = {"ratio", "share", "fraction", "rate"}
_USE: Final = {"usage", "utilization", "utilisation", "util", "use", "used"} | _SHARE

_RATES: Final = {
    *("request_rate", "requests_rate", "requests_per_second", "requests_per_sec", "throughput"),
    *("requests_per_s", "req_per_sec", "req_per_s", "rps", "qps", "tps"),
}
_PER_MINUTE: Final = {"requests_per_minute", "requests_per_min", "rpm"}
_COUNTS: Final = {
    *("requests", "request_count", "requests_count", "num_requests", "total_requests", "hits"),
    *("calls", "call_count"),
}
_ERROR_COUNTS: Final = {
    *("errors", "error_count", "errors_count", "num_errors", "failed_requests", "failures"),
    *("failure_count", "failed", "requests_failed", "http_5xx", "count_5xx", "status_5xx"),
}
_QUEUES: Final = {
    *("queue_depth", "queue_length", "queue_size", "queue_len", "queued", "queued_requests"),
    *("pending_requests", "requests_pending", "requests_waiting", "waiting_requests", "backlog"),
}
_WORKERS: Final = {"active_workers", "workers", "worker_count", "num_workers", "busy_workers"}
_REPLICAS: Final = {"replicas", "instances", "instance_count", "pods", "pod_count"}
_STATUSES: Final = {
    *("status", "status_code", "http_status", "http_status_code", "response_code"),
    *("response_status", "http_response_status_code", "http_code"),
}
_FAILED: Final = {"is_error", "has_error", "error", "failed", "is_failed", "is_failure"}
_SUCCEEDED: Final = {"success", "is_success", "succeeded", "ok"}

# What to call a column that is to give a metric.
SUCH_AS: Final[Mapping[Metric, str]] = {
    "request_rate": "requests_per_second",
    "error_rate": "error_ratio",
    "load": "load",
    "infra": "pressure_ratio",
    "cpu": "cpu_percent",
    "memory": "memory_percent",
    "queue_depth": "queue_length",
    "active_workers": "workers",
    "p50_ms": "p50_ms",
    "p95_ms": "p95_ms",
    "p99_ms": "p99_ms",
    "p999_ms": "p999_ms",
}

Kind = Literal[
    "rate",  # of requests, a second
    "count",  # of requests in the row's time
    "errors",  # a count of failed ones
    "gauge",
    "share",  # 0 to 1, or a percentage where `times` says so
    "quantile",  # of the row's latencies
    "duration",  # of one request
    "status",  # by which a failure is known
    "failed",
    "succeeded",
    "used",  # bytes
    "limit",
]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a column's name says; `times` is None where the name does not say the unit."""

    kind: Kind
    metric: Metric | None = None
    times: float | None = 1.0


def meaning_of(column: str) -> Meaning | None:
    """Tell what a column is by its name alone."""
    name = plain(column)
    return _by_whole_name(name) or _latency(name) or _of_resources(name)


def plain(column: str) -> str:
    """Write a name in small letters with underscores: HTTPStatusCode is http_status_code."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", column)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()
    return re.sub(r"(?<=[pq]99)_9(?!\d)", "9", name)


def _by_whole_name(name: str) -> Meaning | None:
    found: dict[str, Meaning] = {
        **dict.fromkeys(_RATES, Meaning("rate", "request_rate")),
        **dict.fromkeys(_PER_MINUTE, Meaning("rate", "request_rate", 1 / 60)),
        **dict.fromkeys(_COUNTS, Meaning("count", "request_rate")),
        **dict.fromkeys(_ERROR_COUNTS, Meaning("errors", "error_rate")),
        **dict.fromkeys(_QUEUES, Meaning("gauge", "queue_depth")),
        **dict.fromkeys(_WORKERS | _REPLICAS, Meaning("gauge", "active_workers")),
        **dict.fromkeys(_STATUSES, Meaning("status")),
        **dict.fromkeys(_FAILED, Meaning("failed")),
        **dict.fromkeys(_SUCCEEDED, Meaning("succeeded")),
    }
    return found.get(name)


def _latency(name: str) -> Meaning | None:
    words = name.split("_")
    units = [word for word in words if word in UNITS]
    levels = [word for word in words if word in LEVELS]
    others = {word for word in words if word not in UNITS and word not in LEVELS}
    if len(units) > 1 or len(levels) > 1 or not others <= _LATENCY:
        return None
    times = UNITS[units[0]] if units else None
    if levels:
        return Meaning("quantile", LEVELS[levels[0]], times)
    if others & {"latency", "duration", "elapsed", "took"} or {"time"} < others:
        return Meaning("duration", None, times)
    return None


def _of_resources(name: str) -> Meaning | None:
    words = set(name.split("_"))
    percent = bool(words & _PERCENT)
    words -= _PERCENT
    for first, metric in _SHARES.items():
        if words & first and words - first <= _USE:
            times = 0.01 if percent else (1.0 if words & {"ratio", "share", "fraction"} else None)
            return Meaning("share", metric, times)
    if words & {"memory", "mem"} and words <= {"memory", "mem", "bytes", "limit", "total", "used"}:
        return Meaning("limit" if words & {"limit", "total"} else "used", "memory")
    if words and words <= {"load", "saturation", "utilization", "utilisation"}:
        return Meaning("gauge", "load", 0.01 if percent else 1.0)
    return None


_SHARES: Final[Mapping[frozenset[str], Metric]] = {
    frozenset({"error", "errors", "failure", "failures"}): "error_rate",
    frozenset({"cpu"}): "cpu",
    frozenset({"memory", "mem"}): "memory",
    frozenset({"pressure", "steal", "infra"}): "infra",
}
