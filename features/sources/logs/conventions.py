"""By which names loggers and proxies write what metrics are made of, the likeliest first."""

import re
from dataclasses import dataclass
from typing import Literal

Unit = Literal["s", "ms", "us", "ns"]


@dataclass(frozen=True, slots=True)
class Known:
    """A field that some software writes; it means that only where others stand beside it."""

    field: str
    software: str
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownLatency(Known):
    unit: Unit = "ms"


def _any(*names: str) -> tuple[Known, ...]:
    return tuple(Known(name, "") for name in names)


# How it is written is seen by the values.
TIMES = (
    Known("@timestamp", "ECS, Logstash"),
    Known("time_iso8601", "nginx"),
    Known("msec", "nginx"),
    Known("@t", "Serilog"),
    Known("ts", "zap, Caddy"),
    Known("time", "pino, Bunyan, logrus, slog"),
    Known("timestamp", "structlog, GELF"),
    Known("asctime", "Python's logging"),
    Known("start_time", "Envoy, Istio"),
    *_any("Timestamp", "datetime", "date", "eventTime", "event_time", "logged_at", "t"),
)

ENTITIES = (
    Known("service.name", "ECS, OpenTelemetry"),
    *_any("service", "service_name", "serviceName", "app", "app_name", "appName"),
    *_any("application", "application_name", "applicationName"),
    Known("_service", "GELF"),
    Known("_app", "GELF"),
    Known("_application_name", "GELF"),
    Known("Properties.Application", "Serilog"),
    Known("kubernetes.labels.app", "Kubernetes"),
    Known("kubernetes.container_name", "Kubernetes"),
    Known("kubernetes.container.name", "Kubernetes, ECS"),
    Known("container.name", "ECS"),
    *_any("container_name"),
    Known("ServiceName", "Traefik"),
    Known("upstream_cluster", "Envoy, Istio"),
    Known("name", "Bunyan, pino", beside=("hostname", "pid")),
    Known("server_name", "nginx", beside=("request_time",)),
    Known("http_host", "nginx", beside=("request_time",)),
    Known("host", "nginx", beside=("request_time",)),
    Known("request.host", "Caddy", beside=("request.method",)),
    *_any("program", "component"),
)

LATENCIES = (
    KnownLatency("event.duration", "ECS", unit="ns"),
    KnownLatency("request_time", "nginx", unit="s"),
    KnownLatency("responseTime", "pino-http", unit="ms"),
    KnownLatency("grpc.time_ms", "go-grpc-middleware", unit="ms"),
    KnownLatency("duration", "Caddy", ("logger", "request.method"), unit="s"),
    KnownLatency("duration", "Envoy, Istio", ("response_code",), unit="ms"),
    KnownLatency("duration", "lograge", ("controller", "action"), unit="ms"),
    KnownLatency("Duration", "Traefik", ("DownstreamStatus",), unit="ns"),
    KnownLatency("latencies.request", "Kong", unit="ms"),
    KnownLatency("Elapsed", "Serilog", ("@t",), unit="ms"),
    KnownLatency("Properties.Elapsed", "Serilog", unit="ms"),
    KnownLatency("upstream_response_time", "nginx", unit="s"),
)

STATUSES = (
    Known("http.response.status_code", "ECS, OpenTelemetry"),
    Known("http.status_code", "OpenTelemetry"),
    Known("res.statusCode", "pino-http, Bunyan"),
    Known("DownstreamStatus", "Traefik"),
    Known("response_code", "Envoy, Istio"),
    Known("response.status", "Kong"),
    Known("httpRequest.status", "Google Cloud"),
    Known("Properties.StatusCode", "Serilog"),
    Known("status", "nginx, Caddy, lograge"),
    *_any("status_code", "statusCode", "StatusCode", "http.status", "http_status"),
    *_any("response_status", "code"),
)

# The names of codes, as what OpenTelemetry counts as the server's own failures.
GRPC_CODES = (Known("grpc.code", "go-grpc-middleware"), *_any("grpc_code", "grpc_status"))
GRPC_FAILURES = "^(Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss)$"

LEVELS = (
    Known("log.level", "ECS"),
    Known("level", "zap, logrus, pino, Bunyan, structlog, GELF"),
    Known("levelname", "Python's logging"),
    Known("severity", "Google Cloud"),
    Known("@l", "Serilog"),
    *_any("Level", "lvl", "loglevel", "severity_text"),
)
FAILED_LEVELS = r"(?i)^(err|error|dpanic|panic|fatal|crit|critical|alert|emerg|emergency|severe)$"
# Bunyan and pino count up by tens, and 50 is an error; syslog counts down, and 3 is one.
BUNYAN_LEVELS = frozenset(range(10, 70, 10))
BUNYAN_ERROR = 50
SYSLOG_LEVELS = frozenset(range(8))
SYSLOG_FAILED = "^[0-3]$"

_WORDS = r"(duration|latency|elapsed|took|response_?time|request_?time|time_?taken|process_?time)"
_UNITS: dict[Unit, str] = {
    "ns": r"_?(in_?)?(ns|nanos\w*)",
    "us": r"_?(in_?)?(us|micros\w*)",
    "ms": r"_?(in_?)?(ms|msecs?|millis\w*)",
    "s": r"(_(in_)?(s|secs?)|_?(in_?)?seconds)",
}
_NAMED_UNITS = {
    unit: re.compile(rf"{_WORDS}{ending}$", re.IGNORECASE) for unit, ending in _UNITS.items()
}
_NO_UNIT = re.compile(rf"(^|[._]){_WORDS}$", re.IGNORECASE)


def unit_in(name: str) -> Unit | None:
    """Give the unit that a latency's name ends in, as in `duration_ms`."""
    return next((unit for unit, named in _NAMED_UNITS.items() if named.search(name)), None)


def may_be_latency(name: str) -> bool:
    """Tell whether it is named like a latency whose unit nobody knows."""
    return _NO_UNIT.search(name) is not None
