"""How processors, memory, workers and queues are measured: containers, processes, hosts."""

from features.sources.prometheus.catalogue.convention import Convention
from features.sources.rules import Expression, Gauge, GaugeRatio, Matcher, Metric, Ratio
from features.sources.rules import Selector as Of

CADVISOR = "cAdvisor"
MICROMETER = "Micrometer (JVM)"
KUBERNETES = "kube-state-metrics"
PROCESS = "process exporter of the client libraries"
HOST = "node exporter"

# The pause container, and the sum over the pod that is a series too, have no image of their own.
_CONTAINERS = 'container!="",container!="POD",$only'


def _gauge(
    software: str, metric: Metric, rank: int, name: str, times: float = 1.0, **where: str
) -> Convention:
    matchers = tuple(Matcher(label=label, value=value) for label, value in where.items())
    rule = Gauge(of=Of(name=name, where=matchers), times=times)
    return Convention(software, metric, rule, rank, (name,), tuple(where))


def _text(
    software: str, metric: Metric, rank: int, promql: str, *series: str, caveat: str = ""
) -> Convention:
    return Convention(software, metric, Expression(promql=promql), rank, series, caveat=caveat)


def _busy(software: str, rank: int, of: str, by: str) -> Convention:
    rule = GaugeRatio(of=Of(name=of), by=Of(name=by))
    return Convention(software, "load", rule, rank, (of, by))


_HEAP = (Matcher(label="area", value="heap"),)

USE = (
    _text(
        CADVISOR,
        "cpu",
        10,
        f"sum by ($entity) (rate(container_cpu_usage_seconds_total{{{_CONTAINERS}}}[$interval]))"
        f" / (sum by ($entity) (container_spec_cpu_quota{{{_CONTAINERS}}}"
        f" / container_spec_cpu_period{{{_CONTAINERS}}}) > 0)",
        "container_cpu_usage_seconds_total",
        "container_spec_cpu_quota",
        "container_spec_cpu_period",
    ),
    Convention(
        MICROMETER,
        "cpu",
        Gauge(of=Of(name="process_cpu_usage"), over="avg"),
        20,
        ("process_cpu_usage",),
    ),
    _text(
        "Go runtime",
        "cpu",
        30,
        "sum by ($entity) (rate(process_cpu_seconds_total{$only}[$interval]))"
        " / sum by ($entity) (go_sched_gomaxprocs_threads{$only})",
        "process_cpu_seconds_total",
        "go_sched_gomaxprocs_threads",
    ),
    _text(
        PROCESS,
        "cpu",
        40,
        "clamp_max(avg by ($entity) (rate(process_cpu_seconds_total{$only}[$interval])), 1)",
        "process_cpu_seconds_total",
        caveat="a process' share of one core, on average; more counts as 1",
    ),
    _text(
        CADVISOR,
        "memory",
        10,
        f"sum by ($entity) (container_memory_working_set_bytes{{{_CONTAINERS}}})"
        f" / (sum by ($entity) (container_spec_memory_limit_bytes{{{_CONTAINERS}}}) > 0)",
        "container_memory_working_set_bytes",
        "container_spec_memory_limit_bytes",
    ),
    Convention(
        MICROMETER,
        "memory",
        GaugeRatio(
            of=Of(name="jvm_memory_used_bytes", where=_HEAP),
            by=Of(name="jvm_memory_max_bytes", where=_HEAP),
        ),
        20,
        ("jvm_memory_used_bytes", "jvm_memory_max_bytes"),
        ("area",),
        "of the heap alone",
    ),
    Convention(
        CADVISOR,
        "infra",
        Ratio(
            of=Of(name="container_cpu_cfs_throttled_periods_total"),
            by=Of(name="container_cpu_cfs_periods_total"),
        ),
        10,
        ("container_cpu_cfs_throttled_periods_total", "container_cpu_cfs_periods_total"),
        caveat="the share of periods in which containers were throttled",
    ),
    _text(
        CADVISOR,
        "infra",
        20,
        f"avg by ($entity) (rate(container_pressure_cpu_waiting_seconds_total{{{_CONTAINERS}}}"
        "[$interval]))",
        "container_pressure_cpu_waiting_seconds_total",
        caveat="the share of time in which something waited for a processor",
    ),
)

WORKERS = (
    _gauge(KUBERNETES, "active_workers", 10, "kube_deployment_status_replicas_available"),
    _gauge(KUBERNETES, "active_workers", 20, "kube_statefulset_status_replicas_ready"),
    _gauge("Prometheus' own probe", "active_workers", 30, "up"),
    Convention(
        PROCESS,
        "active_workers",
        Gauge(of=Of(name="process_start_time_seconds"), over="count"),
        40,
        ("process_start_time_seconds",),
    ),
    _busy("Tomcat", 10, "tomcat_threads_busy_threads", "tomcat_threads_config_max_threads"),
    _busy("Jetty", 20, "jetty_threads_busy", "jetty_threads_config_max"),
    _busy("PHP-FPM", 30, "phpfpm_active_processes", "phpfpm_total_processes"),
)

QUEUES = (
    _gauge("Envoy", "queue_depth", 10, "envoy_cluster_upstream_rq_pending_active"),
    _gauge("Jetty", "queue_depth", 30, "jetty_threads_jobs"),
    _gauge("PHP-FPM", "queue_depth", 40, "phpfpm_listen_queue"),
    _gauge("Puma", "queue_depth", 50, "puma_backlog"),
    _gauge("HAProxy", "queue_depth", 60, "haproxy_backend_current_queue"),
    _gauge("vLLM", "queue_depth", 70, "vllm:num_requests_waiting"),
    _gauge("Triton", "queue_depth", 80, "nv_inference_pending_request_count"),
    _gauge("RabbitMQ", "queue_depth", 90, "rabbitmq_queue_messages_ready"),
    _gauge("Celery exporter", "queue_depth", 100, "celery_queue_length"),
    _gauge("applications' own", "queue_depth", 110, "request_queue_length"),
    _gauge("applications' own", "queue_depth", 120, "queue_length"),
    _gauge("applications' own", "queue_depth", 130, "queue_depth"),
)

# A host is no service: taken where nothing else is there.
HOSTS = (
    _text(
        HOST,
        "cpu",
        900,
        '1 - avg by ($entity) (rate(node_cpu_seconds_total{mode="idle",$only}[$interval]))',
        "node_cpu_seconds_total",
    ),
    _text(
        HOST,
        "memory",
        900,
        "1 - sum by ($entity) (node_memory_MemAvailable_bytes{$only})"
        " / sum by ($entity) (node_memory_MemTotal_bytes{$only})",
        "node_memory_MemAvailable_bytes",
        "node_memory_MemTotal_bytes",
    ),
    _text(
        HOST,
        "infra",
        900,
        "avg by ($entity) (rate(node_pressure_cpu_waiting_seconds_total{$only}[$interval]))",
        "node_pressure_cpu_waiting_seconds_total",
        caveat="the share of time in which something waited for a processor",
    ),
)
