"""What `ballast status` shows: the supervisor's word first, then the platform's own."""

import shlex
from dataclasses import dataclass, field
from typing import Any

from deployments.runtime.platform_health import PlatformHealth, TrainingHealth, read_health
from launch.errors import LaunchError
from launch.platform_client import client_of, fetch
from launch.run_record import Run
from launch.training.standing import sentence
from settings.environment import Settings
from settings.redis_connection import open_redis

ANSWERS_WITHIN_SECONDS = 5.0


@dataclass(slots=True)
class Shown:
    lines: list[str] = field(default_factory=list)
    failure: str = ""


async def lines_of(settings: Settings, run: Run, now: float) -> Shown:
    health = await _health(settings, now)
    state = health.state if health is not None else "ready" if run.ready else "starting"
    shown = Shown([f"{state}{_step(run, now)}  process {run.pid}  {run.url}"])
    if health is not None:
        shown.lines += [f"         {problem}" for problem in health.problems]
        shown.lines += _parts(health)
        shown.lines += _training(health.training, now)
    if not run.ready:
        return shown
    try:
        async with client_of(settings, run, ANSWERS_WITHIN_SECONDS) as client:
            found = await fetch(client, "GET", "/status")
    except LaunchError as error:
        shown.failure = str(error)
        return shown
    shown.lines += _serving(found, run)
    return shown


def _step(run: Run, now: float) -> str:
    return f": step {run.step} for {max(now - run.step_since, 0):.0f} s" if run.step else ""


async def _health(settings: Settings, now: float) -> PlatformHealth | None:
    redis = open_redis(settings.redis_address, settings.redis_prefix)
    try:
        return await read_health(redis, now)
    finally:
        await redis.aclose()


def _parts(health: PlatformHealth) -> list[str]:
    running = [each.name for each in health.parts if each.state == "running"]
    others = [f"{each.name} {each.state}" for each in health.parts if each.state != "running"]
    replicas = [f"{each.name} {each.running}/{each.wanted}" for each in health.deployments]
    return [
        f"parts    {', '.join([*others, *running])}",
        *([f"replicas {', '.join(replicas)}"] if replicas else []),
    ]


def _training(training: TrainingHealth, now: float) -> list[str]:
    """Say what is trained now, and what the models lack that could not be."""
    lines = [] if training.running is None else [sentence(training.running, now)]
    for each in training.untrained:
        meanwhile = f"; until then {each.until_then}" if each.until_then else ""
        lines.append(f"not yet {each.model}: {each.missing}{meanwhile}")
    return [f"{'training' if not at else '':<9}{line}" for at, line in enumerate(lines)]


def _serving(found: dict[str, Any], run: Run) -> list[str]:
    file = shlex.quote(run.config_file)
    return [
        f"version  {found['version']}   configuration {found['config_version']}",
        f"degraded {'yes' if found['degraded'] else 'no'}",
        *(f"         {reason}" for reason in found["degraded_reasons"]),
        f"families {', '.join(found['families'])}",
        *(
            ["sources  none: the demo platform is shown; `ballast connect` brings yours"]
            if found.get("demo")
            else []
        ),
        *(
            [f"demo     still answered by models that learned from it: {', '.join(learned)}"]
            if (learned := found.get("models_of_demo"))
            else []
        ),
        f"cluster  {run.dashboard}   to apply an edited {run.config_file}:",
        f"         RAY_AUTH_MODE=token serve deploy {file} -a {run.dashboard}",
    ]
