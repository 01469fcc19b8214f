"""Puts serve_config.yaml to work on the cluster, and waits until every part answers."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from pydantic import ValidationError
from ray import serve
from ray.exceptions import RayError
from ray.serve.schema import ServeDeploySchema

from deployments.launch.errors import ConfigFileError, LaunchError, NotReadyError, PartDiedError
from deployments.launch.serve_config import Config

READY_WITHIN_SECONDS = 180.0


def checked(config: Config, path: Path) -> ServeDeploySchema:
    """Judge what was read as Serve itself will."""
    try:
        return ServeDeploySchema.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigFileError(path, f"is not for Serve: {where}: {first['msg']}") from error


def deploy(config: ServeDeploySchema, logs: str) -> None:
    """Hand the configuration to Serve's controller, as `serve deploy` does."""
    try:
        _deploy(config)
    except (RayError, RuntimeError, TimeoutError) as error:
        raise PartDiedError("Ray Serve", logs) from error


def _deploy(config: ServeDeploySchema) -> None:
    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # its news is in our own words
    serve.start(
        proxy_location=config.proxy_location,
        http_options=config.http_options.model_dump(),
        logging_config=config.logging_config.model_dump() if config.logging_config else None,
    )
    client = serve.context._get_global_client()  # noqa: SLF001 - serve.run takes no configuration file
    client.deploy_apps(config, _blocking=False)


def await_running(seen: Callable[[str], None], logs: str) -> None:
    """Wait for every deployment to be healthy; tell which ones are still to come."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    state = "not deployed"
    while time.monotonic() < deadline:
        applications = serve.status().applications
        state = _state(applications)
        seen(state)
        if applications and all(app.status == "RUNNING" for app in applications.values()):
            return
        failed = [app for app in applications.values() if app.status == "DEPLOY_FAILED"]
        if failed:
            raise LaunchError(f"Serve could not deploy: {failed[0].message} The logs: {logs}")
        time.sleep(0.1)
    raise NotReadyError(READY_WITHIN_SECONDS, state, logs)


def await_answer(url: str, logs: str) -> None:
    """Wait until the front door itself answers."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise NotReadyError(30, "the front door gives no answer", logs)


def stop() -> None:
    """End every deployment in order: the gateway answers what it holds before it goes."""
    serve.shutdown()


def _state(applications: dict[str, Any]) -> str:
    waiting = [
        name
        for app in applications.values()
        for name, deployment in app.deployments.items()
        if deployment.status != "HEALTHY"
    ]
    return f"waiting for {', '.join(sorted(waiting))}" if waiting else "starting"
