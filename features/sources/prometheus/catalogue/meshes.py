"""How meshes and proxies measure the services behind them."""

from features.sources.prometheus.catalogue.convention import Failures, Requests
from features.sources.rules import Matcher

MESHES = (
    Requests(
        "Istio",
        rank=200,
        counter="istio_requests_total",
        durations="istio_request_duration_milliseconds",
        times=1.0,
        failures=(Failures("response_code", "5.."),),
        # Both ends of a call report it; only the server's own proxy sees all of its requests.
        where=(Matcher(label="reporter", value="destination"),),
    ),
    Requests(
        "Linkerd",
        rank=210,
        counter="response_total",
        durations="response_latency_ms",
        times=1.0,
        failures=(Failures("classification", "failure"),),
        where=(Matcher(label="direction", value="inbound"),),
    ),
    Requests(
        "Envoy",
        rank=220,
        counter="envoy_cluster_upstream_rq_total",
        durations="envoy_cluster_upstream_rq_time",
        times=1.0,
        failures=(Failures("envoy_response_code_class", "5"),),
        failing="envoy_cluster_upstream_rq_xx",
    ),
    Requests(
        "ingress-nginx",
        rank=230,
        counter="nginx_ingress_controller_requests",
        durations="nginx_ingress_controller_request_duration_seconds",
        failures=(Failures("status", "5.."),),
    ),
    Requests(
        "Traefik",
        rank=240,
        counter="traefik_service_requests_total",
        durations="traefik_service_request_duration_seconds",
        failures=(Failures("code", "5.."),),
    ),
    Requests(
        "HAProxy",
        rank=250,
        counter="haproxy_backend_http_requests_total",
        failures=(Failures("code", "5xx"),),
        failing="haproxy_backend_http_responses_total",
    ),
)

# Every Prometheus measures its own pages, and nobody connects it for them: the last resort.
ITSELF = Requests(
    "Prometheus itself",
    rank=900,
    counter="prometheus_http_requests_total",
    durations="prometheus_http_request_duration_seconds",
    failures=(Failures("code", "5.."),),
    caveat="these are the pages of Prometheus itself",
)
