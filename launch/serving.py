"""Puts serve_config.yaml to work on the cluster, and waits until every part answers."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import ray
from pydantic import ValidationError
from ray import serve
from ray.exceptions import RayError
from ray.serve.schema import ServeDeploySchema

from deployments.runtime.platform_health import DeploymentHealth
from launch.errors import (
    ConfigFileError,
    DeployFailedError,
    NotReadyError,
    PartDiedError,
)
from launch.placement import (
    all_begun,
    deployments_health,
    in_a_line,
    lasting,
    one_line,
    share_begun,
    some_lack_replicas,
)
from launch.serve_config import Config

log = logging.getLogger(__name__)

READY_WITHIN_SECONDS = 300.0
# Each costs the controller some milliseconds. A silent one is told of after twice as long.
ASK_SECONDS = 3.0
STOPS_WITHIN_SECONDS = 5.0


def checked(config: Config, path: Path) -> ServeDeploySchema:
    """Judge what was read as Serve itself will."""
    try:
        return ServeDeploySchema.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigFileError(
            path, f"is not a Serve configuration: {where}: {first['msg']}"
        ) from error


def deploy(config: ServeDeploySchema, logs: str) -> None:
    """Hand the configuration to Serve's controller, as `serve deploy` does."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while True:
        try:
            _deploy(config)
        except (TimeoutError, RayError, RuntimeError) as error:
            # Serve gives its proxies a minute, which a busy machine needs more of.
            if isinstance(error, TimeoutError) and time.monotonic() < deadline:
                continue
            reason = f"Ray Serve ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
            raise PartDiedError(reason, logs) from error
        else:
            return


def _deploy(config: ServeDeploySchema) -> None:
    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # its news is in our own words
    serve.start(
        proxy_location=config.proxy_location,
        http_options=config.http_options.model_dump(),
        logging_config=config.logging_config.model_dump() if config.logging_config else None,
    )
    client = serve.context._get_global_client()  # noqa: SLF001 - serve.run takes no configuration file
    client.deploy_apps(config, _blocking=False)


def deployments() -> list[DeploymentHealth]:
    """Ask Serve's controller how every deployment is."""
    return _judged(_details())


def await_begun(seen: Callable[[float, str], None], config_file: Path, logs: str) -> None:
    """Wait until each deployment has a replica that answers; tell what the others wait for."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    state = "not deployed"
    while time.monotonic() < deadline:
        details = _details()
        found = _judged(details)
        if all_begun(found):
            return
        state = in_a_line(found)
        if (reason := why_failed(details)) is not None:
            raise DeployFailedError(config_file, reason or state, logs)
        seen(share_begun(found), state)
        time.sleep(0.1)
    raise NotReadyError(READY_WITHIN_SECONDS, state, logs)


def _details() -> dict[str, Any]:
    client = serve.context._get_global_client()  # noqa: SLF001 - serve.status() tells less
    found: dict[str, Any] = client.get_serve_details()
    return found


def _judged(details: dict[str, Any]) -> list[DeploymentHealth]:
    if not some_lack_replicas(details):
        return deployments_health(details, 0.0, 0.0)
    total = float(ray.cluster_resources().get("CPU", 0.0))
    free = float(ray.available_resources().get("CPU", 0.0))
    return deployments_health(details, total, free)


def why_failed(details: dict[str, Any]) -> str | None:
    """Give Serve's own reason for each application that it could not deploy; None where none is."""
    failed = {
        name: str(application.get("message") or "").strip()
        for name, application in details.get("applications", {}).items()
        if application.get("status") == "DEPLOY_FAILED"
    }
    if not failed:
        return None
    return "; ".join(f"{name}: {one_line(reason)}" for name, reason in failed.items() if reason)


class DeploymentsWatch:
    """Keeps asking in a thread: while the control store is away, a question takes a minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.deployments: list[DeploymentHealth] = []
        self._clock = clock
        self._answered_at = clock()
        self._seen: list[DeploymentHealth] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, name="deployments", daemon=True)

    @property
    def silent_s(self) -> float:
        return self._clock() - self._answered_at

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask no more: a question after Ray's end would end the process."""
        self._stopping.set()
        self._thread.join(STOPS_WITHIN_SECONDS)

    def _ask_on(self) -> None:
        while not self._stopping.is_set():
            try:
                seen = deployments()
                self.deployments, self._seen = lasting(seen, self._seen), seen
                self._answered_at = self._clock()
            except (RayError, RuntimeError, TimeoutError):
                pass  # the cluster is away; how long it has been silent says so
            except Exception:
                log.exception("The state of the deployments could not be read")
            self._stopping.wait(ASK_SECONDS)


def await_answer(url: str, logs: str) -> None:
    """Wait until the platform answers a client."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise NotReadyError(30, "the platform answers no client", logs)


def stop() -> None:
    """End every deployment in order: the gateway answers what it holds before it goes."""
    serve.shutdown()
