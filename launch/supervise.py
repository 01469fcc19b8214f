"""Runs the platform in the foreground and says how to use it."""

import asyncio
from pathlib import Path

import typer

from features.telemetry.source_states import read_states
from launch.detached import ENDED_BY
from launch.progress import Progress
from launch.supervisor import Supervisor
from observability.logs import set_up
from settings.environment import Settings
from settings.redis_connection import open_redis

GREETING = """
Ballast answers at {url}
  admin key   {key_file}
  docs        {url}/docs
  telemetry   {telemetry}
{connected}
Try it:
  curl -s {url}/models/tail-slo -H "X-API-Key: $(cat {key_file})" -d '{body}'

{ended_by}"""

BODY = '{"entity": "order-gateway", "load": 0.8, "slo_ms": 20}'


DEMO = "a made-up demo platform; `ballast connect prometheus URL` brings your own"


async def _telemetry(settings: Settings) -> str:
    """Say whose telemetry is shown."""
    redis = open_redis(settings.redis_address, settings.redis_prefix)
    try:
        published = await read_states(redis)
    finally:
        await redis.aclose()
    states = () if published is None else published.states
    if any(each.state == "demo" for each in states):
        return DEMO
    shown = ", ".join(f"{each.name} ({each.state})" for each in states)
    return shown or "no source yet; `ballast connect` brings one"


def supervise(settings: Settings, config_file: Path) -> None:
    set_up("WARNING")
    progress = Progress()
    supervisor = Supervisor(settings, config_file, progress)

    def ready() -> None:
        key_file = settings.paths.key_file
        typer.echo(
            GREETING.format(
                url=supervisor.url,
                key_file=key_file,
                telemetry=asyncio.run(_telemetry(settings)),
                connected=f"\n{supervisor.connected}\n" if supervisor.connected else "",
                body=BODY,
                ended_by=ENDED_BY,
            )
        )

    supervisor.run(ready)
    progress.console.print("Ballast has ended: none of its processes runs any more.")
