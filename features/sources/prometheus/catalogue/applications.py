"""How applications measure themselves: client libraries, frameworks, OpenTelemetry."""

from features.sources.prometheus.catalogue.convention import (
    GRPC,
    GRPC_BY_NUMBER,
    Failures,
    Requests,
)
from features.sources.rules import Matcher

# An application knows best which of its requests failed, and a histogram of its own has no network
# in it: these go before what a mesh or a proxy in front of it says.
APPLICATIONS = (
    Requests(
        "OpenTelemetry, HTTP",
        rank=10,
        durations="http_server_request_duration_seconds",
        counter="http_server_requests_total",
    ),
    Requests(
        "Micrometer (Spring Boot)",
        rank=20,
        durations="http_server_requests_seconds",
        failures=(Failures("status", "5.."), Failures("outcome", "SERVER_ERROR")),
    ),
    Requests(
        "FastAPI instrumentator, fine buckets",
        rank=30,
        durations="http_request_duration_highr_seconds",
        failures=(),  # it has no label of the status
    ),
    Requests(
        "client libraries, HTTP",
        rank=40,
        counter="http_requests_total",
        durations="http_request_duration_seconds",
    ),
    Requests(
        "prometheus-net (ASP.NET)",
        rank=50,
        counter="http_requests_received_total",
        durations="http_request_duration_seconds",
    ),
    Requests(
        "client libraries, HTTP in milliseconds",
        rank=60,
        counter="http_requests_total",
        durations="http_request_duration_milliseconds",
        times=1.0,
    ),
    Requests(
        "OpenTelemetry, HTTP before 1.20",
        rank=70,
        durations="http_server_duration_milliseconds",
        times=1.0,
    ),
    Requests(
        "Flask exporter",
        rank=80,
        counter="flask_http_request_total",
        durations="flask_http_request_duration_seconds",
    ),
    Requests(
        "Starlette exporter",
        rank=90,
        counter="starlette_requests_total",
        durations="starlette_request_duration_seconds",
    ),
    Requests(
        "Starlette middleware",
        rank=100,
        counter="starlette_requests_total",
        durations="starlette_requests_processing_time_seconds",
        failing="starlette_responses_total",
    ),
    Requests(
        "Django exporter",
        rank=110,
        counter="django_http_requests_total_by_method_total",
        durations="django_http_requests_latency_seconds_by_view_method",
        failing="django_http_responses_total_by_status_total",
    ),
    Requests(
        "Gin middleware",
        rank=120,
        counter="gin_requests_total",
        durations="gin_request_duration_seconds",
    ),
    Requests(
        "Echo middleware",
        rank=130,
        counter="echo_requests_total",
        durations="echo_request_duration_seconds",
    ),
    Requests(
        "gRPC server",
        rank=140,
        counter="grpc_server_handled_total",
        durations="grpc_server_handling_seconds",
        failures=GRPC,
    ),
    Requests(
        "OpenTelemetry, gRPC",
        rank=150,
        durations="rpc_server_duration_milliseconds",
        times=1.0,
        failures=GRPC_BY_NUMBER,
    ),
    # Made of traces, which may be sampled: behind what counts each request.
    Requests(
        "spans, by the OpenTelemetry collector",
        rank=160,
        counter="traces_span_metrics_calls_total",
        durations="traces_span_metrics_duration_milliseconds",
        times=1.0,
        failures=(Failures("status_code", "STATUS_CODE_ERROR"),),
        where=(Matcher(label="span_kind", value="SPAN_KIND_SERVER"),),
        caveat="counted from traces: sampled ones give too low a rate",
    ),
    Requests(
        "spans, by Tempo",
        rank=170,
        counter="traces_spanmetrics_calls_total",
        durations="traces_spanmetrics_latency",
        failures=(Failures("status_code", "STATUS_CODE_ERROR"),),
        where=(Matcher(label="span_kind", value="SPAN_KIND_SERVER"),),
        caveat="counted from traces: sampled ones give too low a rate",
    ),
)
