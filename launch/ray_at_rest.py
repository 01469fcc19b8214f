"""What Ray is told to do less often, or not at all, on one machine: nobody there looks at it.

What is noticed by it stays as it is: lost processes, a lost control store, calls that are due.
docs/decisions/while-nobody-asks.md says what that spares.
"""

from launch.variable import one_machine

AT_REST = (
    one_machine(
        "RAY_enable_metrics_collection",
        "0",
        "Ray's own metrics of each process have no reader on one machine; ours are at /metrics.",
    ),
    one_machine(
        "REPORTER_UPDATE_INTERVAL_MS",
        "60000",
        "How often Ray's agent looks through all processes for its dashboard's page of the node.",
    ),
    one_machine(
        "RAY_task_events_report_interval_ms",
        "0",
        "No process tells the control store each second which tasks it ran: nobody lists them.",
    ),
    one_machine(
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER",
        "60s",
        "How often Serve's own HAProxy asks gateways whether they live. It serves nobody.",
    ),
    one_machine(
        "RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH",
        "deployments.runtime.controller_pace.install",
        "Serve's controller looks once a second, not four times, while there is nothing to do.",
    ),
    one_machine("RAY_event_stats", "0", "Ray's daemons do not time each event of their own."),
    one_machine(
        "RAY_io_context_monitor_probe_interval_ms",
        "10000",
        "How often each process tries its own event loops. Ray calls one unwell after 30 s.",
    ),
    one_machine(
        "RAY_raylet_report_resources_period_milliseconds",
        "500",
        "How often the raylet looks for CPUs that were taken or given back, to tell the control "
        "store. Two looks a second are enough for replicas, which take seconds to begin.",
    ),
    one_machine(
        "RAY_gcs_pull_resource_loads_period_milliseconds",
        "10000",
        "How often the control store asks for what waits for a place: for the process that adds "
        "nodes, which is left out.",
    ),
    one_machine(
        "RAY_raylet_check_gc_period_milliseconds",
        "1000",
        "How often the raylet asks whether its object store is so full that workers must let go.",
    ),
    one_machine(
        "RAY_object_manager_timer_freq_ms",
        "1000",
        "How often what is to be fetched from other nodes is tried again: there are none.",
    ),
    one_machine(
        "RAY_local_fs_monitor_interval_ms",
        "1000",
        "How often the object store looks whether the disk is full.",
    ),
    one_machine(
        "RAY_kill_idle_workers_interval_ms",
        "1000",
        "How often the raylet looks for workers that nobody needs.",
    ),
    one_machine(
        "RAY_memory_monitor_refresh_ms",
        "1000",
        "How often the raylet looks whether memory runs out.",
    ),
    one_machine(
        "RAY_debug_dump_period_milliseconds",
        "0",
        "The raylet and the control store do not write all that they hold to a file every 10 s.",
    ),
    one_machine(
        "SCAN_EVENT_DIR_INTERVAL_SECONDS",
        "3600",
        "How often Ray's agent looks for files of events, for a page of the dashboard.",
    ),
    one_machine(
        "METRICS_RECORD_INTERVAL_S",
        "3600",
        "How often Ray's dashboard measures itself; nobody fetches it.",
    ),
)
"""The profile `plain` goes without these: there Ray is as it comes."""
