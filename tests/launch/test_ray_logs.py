from pathlib import Path

from launch import ray_logs
from launch.driver import Driver
from launch.reports import DriverOrder
from settings.environment import Settings


def written(scratch: Path, name: str) -> None:
    logs = scratch / "ray" / "session_latest" / "logs"
    logs.mkdir(parents=True)
    (logs / name).write_text("a line")


def test_only_the_logs_of_the_last_failure_are_kept(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for name in ("first.out", "second.out"):
        written(tmp_path / name, name)
        ray_logs.keep(tmp_path / name, logs)
    assert [each.name for each in ray_logs.kept_folder(logs).iterdir()] == ["second.out"]


def test_a_start_without_a_cluster_leaves_what_was_kept(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    written(tmp_path / "first", "first.out")
    ray_logs.keep(tmp_path / "first", logs)
    ray_logs.keep(tmp_path / "second", logs)
    assert (ray_logs.kept_folder(logs) / "first.out").exists()


def test_what_the_driver_names_outlives_the_run(tmp_path: Path) -> None:
    settings, scratch = Settings(home=tmp_path / "home"), tmp_path / "scratch"
    order = DriverOrder(config_file=tmp_path / "other.yaml", scratch=scratch, url="")
    driver = Driver(order, settings)
    for named in (Path(driver._logs), Path(driver._ray_logs)):
        assert named.is_relative_to(settings.paths.logs)
