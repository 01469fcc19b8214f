"""Runs the platform in the foreground and says how to use it."""

from pathlib import Path

import typer

from launch.detached import ENDED_BY
from launch.progress import Progress
from launch.supervisor import Supervisor
from observability.logs import set_up
from settings.environment import Settings

GREETING = """
Ballast answers at {url}
  admin key   {key_file}
  docs        {url}/docs
  telemetry   {telemetry}

Try it:
  curl -s {url}/models/tail-slo -H "X-API-Key: $(cat {key_file})" -d '{body}'

{ended_by}"""

BODY = '{"entity": "order-gateway", "load": 0.8, "slo_ms": 20}'


def supervise(settings: Settings, config_file: Path) -> None:
    set_up("WARNING")
    progress = Progress()
    supervisor = Supervisor(settings, config_file, progress)

    def ready() -> None:
        key_file = settings.paths.key_file
        typer.echo(
            GREETING.format(url=supervisor.url, key_file=key_file, body=BODY, ended_by=ENDED_BY)
        )

    supervisor.run(ready)
    progress.console.print("Ballast has ended: none of its processes runs any more.")
