"""The driver: a process that starts the Ray cluster and Serve, and reports to the supervisor.

Ray ends its driver's process when the cluster is gone for long. The supervisor must outlive that,
so it does not import Ray: it starts this program and starts it again when the cluster was lost.
"""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import ModuleType

import ray

from deployments.history.discovery import history
from deployments.runtime.platform_health import TrainingHealth
from launch import first_data, ray_head, ray_logs, ray_messages, serve_config
from launch.cluster import CPUS
from launch.failure import explain
from launch.progress import Progress
from launch.reports import DriverOrder, Report, ReportWriter
from launch.stop_signals import StopSignals
from launch.training.standing import Repeated
from models.pointer import read_pointer
from models.registry import CHAMPION
from models.tail.naming import TAIL_MODEL
from settings.environment import Settings

LOOPBACK = "127.0.0.1"
REPORT_SECONDS = 1.0


class Driver:
    """One life of the cluster."""

    def __init__(self, order: DriverOrder, settings: Settings) -> None:
        self._order = order
        self._settings = settings
        self._reports = ReportWriter(order.reports)
        self._progress = Progress(self._report_step)
        self._stop = StopSignals(lambda _: None)  # the supervisor has said it
        self._logs = str(settings.paths.logs)
        # Where the supervisor puts Ray's own when the start fails.
        self._ray_logs = str(ray_logs.kept_folder(settings.paths.logs))

    def run(self) -> None:
        self._stop.listen()
        with ExitStack() as undo:
            undo.callback(self._stop.settle)
            try:
                self._start(undo)
            except Exception as error:
                sentence = str(explain(error, self._settings))
                self._reports.write(Report(kind="failed", sentence=sentence))
                raise
            self._stop.settle()
            if not self._stop.requested:
                self._reports.write(Report(kind="ready"))
                self._stay(undo, self._train_later(undo))

    def _start(self, undo: ExitStack) -> None:
        steps: list[Callable[[ExitStack], None]] = [self._start_cluster, self._start_serving]
        for step in steps:
            if not self._stop.requested:
                step(undo)

    def _report_step(self, name: str) -> None:
        self._reports.write(Report(kind="step", step=name))

    def _start_cluster(self, undo: ExitStack) -> None:
        # Serve takes seconds to import, and Ray's start is mostly waiting: side by side.
        threading.Thread(target=_serving, name="import serve", daemon=True).start()
        with self._progress.step("Ray cluster"):
            undo.callback(ray_head.stop)
            ray_messages.to_file(self._settings.paths.logs)
            plain = self._settings.plain
            head = ray_head.start(self._order.scratch / "ray", whole_dashboard=plain)
            self._stop.listen()  # Ray has put its own in their place
        self._reports.write(Report(kind="cluster", daemons=head.daemons, dashboard=head.dashboard))

    def _start_serving(self, undo: ExitStack) -> None:
        settings = self._settings
        history()  # it loads its engine while Serve starts
        # The front takes the requests; the gateways behind it are for this machine alone.
        config = serve_config.read(self._order.config_file, LOOPBACK, settings.port)
        demands = serve_config.demands(config)
        tight = serve_config.check_fits(demands, CPUS, self._order.config_file) is not None
        first = serve_config.one_replica_each(config) if tight else config
        undo.callback(_close_history)
        trained = read_pointer(settings.paths.models, TAIL_MODEL, CHAMPION) is not None
        if trained:  # replicas start while the history catches up
            first_data.pin_models(settings)
            self._deploy(undo, first)
        with self._progress.bar("Telemetry history") as bar:
            first_data.fill_history(bar)
        with self._progress.bar("Tail model") as bar:
            first_data.train_missing(settings, self._order.scratch, bar)
        if not trained:
            first_data.pin_models(settings)
            self._deploy(undo, first)
        self._await_deployments()
        if tight:  # each has one by now, the gateway too: nobody starves it
            self._deploy(undo, config)

    def _deploy(self, undo: ExitStack, config: serve_config.Config) -> None:
        with self._progress.step("Ray Serve"):
            serving = _serving()
            undo.callback(serving.stop)
            serving.deploy(serving.checked(config, self._order.config_file), self._ray_logs)

    def _await_deployments(self) -> None:
        serving = _serving()
        with self._progress.bar("Deployments") as bar:
            serving.await_begun(bar, self._order.config_file, self._logs)
            serving.await_answer(self._order.url, self._logs)
            bar(1.0, "Every deployment answers")

    def _train_later(self, undo: ExitStack) -> Callable[[], TrainingHealth]:
        """Train what is missing beside the answers: simpler rules stand in until then."""
        # Brings the forecasters with it, which the start need not wait for.
        from launch.training.jobs import jobs  # noqa: PLC0415 - see above
        from launch.training.later import TrainingLater  # noqa: PLC0415 - see above

        settings, console = self._settings, self._progress.console
        todo = jobs(settings)
        if names := [name for job in todo for name in job.due(time.time())]:
            console.print(
                f"Training {len(names)} models in the background ({', '.join(names)}); simpler "
                "rules answer."
            )
        log_file = settings.paths.logs / "training.log"
        later = TrainingLater(
            todo, self._order.scratch, log_file, heard=self._progress.note, say=console.print
        )
        undo.callback(later.stop)
        later.start()
        return later.health

    def _stay(self, undo: ExitStack, training: Callable[[], TrainingHealth]) -> None:
        """Report how the deployments are, until a stop is requested."""
        watch = _serving().DeploymentsWatch(time.monotonic)
        undo.callback(watch.stop)
        watch.start()
        repeated = Repeated(self._progress.console.print, time.time)
        while not self._stop.wait(REPORT_SECONDS):
            repeated.look(training())
            self._reports.write(
                Report(
                    kind="deployments",
                    deployments=watch.deployments,
                    silent_s=watch.silent_s,
                    training=training(),
                )
            )


def _serving() -> ModuleType:
    from launch import serving  # noqa: PLC0415 - imported while Ray starts

    return serving


def _close_history() -> None:
    """Move the last decisions into the column store and close it."""
    if ray.is_initialized():
        actor = history()
        ray.get(actor.drain_now.remote(), timeout=10)
        ray.get(actor.close.remote(), timeout=10)
        ray.kill(actor)


def main() -> None:
    order = DriverOrder.model_validate_json(sys.argv[1])
    try:
        Driver(order, Settings()).run()
    except KeyboardInterrupt:
        sys.exit(1)
    except Exception:  # noqa: BLE001 - it was reported, and its details are in the failure log
        sys.exit(1)


if __name__ == "__main__":
    main()
