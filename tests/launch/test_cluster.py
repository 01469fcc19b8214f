from importlib.util import find_spec
from pathlib import Path

import pytest

from launch.cluster import STARTUP, environment

CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"


@pytest.mark.parametrize("plain", [False, True])
def test_only_fast_puts_something_of_ours_before_ray_and_serve(
    plain: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    found = environment(tmp_path, tmp_path, plain=plain)
    assert (CALLBACK in found) is not plain
    assert (str(STARTUP) in found.get("PYTHONPATH", "")) is not plain
    assert ("RAY_enable_metrics_collection" in found) is not plain
    assert found["RAY_SERVE_ENABLE_HA_PROXY"] == "1"


def test_ray_still_knows_what_spares_it_idle_work() -> None:
    """A variable that a later Ray does not read is left out without a word."""
    ray = Path(find_spec("ray").origin or "").parent  # type: ignore[union-attr] # it is installed
    daemon = (ray / "core/src/ray/raylet/raylet").read_bytes()
    for name in (
        "enable_metrics_collection",
        "task_events_report_interval_ms",
        "event_stats",
        "io_context_monitor_probe_interval_ms",
        "raylet_report_resources_period_milliseconds",
        "gcs_pull_resource_loads_period_milliseconds",
        "raylet_check_gc_period_milliseconds",
        "object_manager_timer_freq_ms",
        "local_fs_monitor_interval_ms",
        "kill_idle_workers_interval_ms",
        "memory_monitor_refresh_ms",
        "debug_dump_period_milliseconds",
    ):
        assert f"RAY_{name}".encode() in daemon
        assert f"RAY_{name}" in environment(Path("/scratch"), Path("/home"), plain=False)
    for name, file in (
        ("REPORTER_UPDATE_INTERVAL_MS", "modules/reporter/reporter_consts.py"),
        ("SCAN_EVENT_DIR_INTERVAL_SECONDS", "modules/event/event_consts.py"),
        ("METRICS_RECORD_INTERVAL_S", "consts.py"),
    ):
        assert f'"{name}"' in (ray / "dashboard" / file).read_text()
        assert name in environment(Path("/scratch"), Path("/home"), plain=False)
    serve = (ray / "serve/_private/constants.py").read_text()
    assert '"RAY_SERVE_METRICS_EXPORT_INTERVAL_MS"' in serve
    assert '"RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH"' in serve
    assert '"RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER"' in serve
