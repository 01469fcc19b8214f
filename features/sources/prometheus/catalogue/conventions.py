"""All conventions, which labels name an entity, and what tells that a target is no service."""

from features.sources.prometheus.catalogue.applications import APPLICATIONS
from features.sources.prometheus.catalogue.convention import Convention
from features.sources.prometheus.catalogue.meshes import ITSELF, MESHES
from features.sources.prometheus.catalogue.resources import HOSTS, QUEUES, USE, WORKERS

# What says something of services.
CONVENTIONS: tuple[Convention, ...] = (
    *(each for requests in (*APPLICATIONS, *MESHES) for each in requests.conventions()),
    *USE,
    *WORKERS,
    *QUEUES,
)
# What says something of the monitoring itself: taken where no service is measured.
LAST_RESORT: tuple[Convention, ...] = (*ITSELF.conventions(), *HOSTS)

# Which label names the service, the likeliest first.
ENTITY_LABELS = (
    "service_name",
    "service",
    "exported_service",
    "app",
    "app_kubernetes_io_name",
    "application",
    "destination_service_name",
    "destination_workload",
    "exported_job",
    "job",
    "envoy_cluster_name",
    "deployment",
    "statefulset",
    "container",
    "proxy",
    "queue",
)

# Each is written by a program that watches others: what has one of them is no service.
WATCHERS = (
    "prometheus_build_info",
    "alertmanager_build_info",
    "node_exporter_build_info",
    "node_uname_info",
    "pushgateway_build_info",
    "blackbox_exporter_build_info",
    "grafana_build_info",
    "kube_state_metrics_build_info",
    "cadvisor_version_info",
    "kubernetes_build_info",
)

# A gauge of processes' start times, the likeliest first: where many move, a deploy began.
STARTS = ("process_start_time_seconds", "container_start_time_seconds")
# Which label of these says what version of the program runs, the likeliest first.
VERSION_LABELS = ("app_kubernetes_io_version", "service_version", "app_version", "version")
