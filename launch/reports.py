"""What the supervisor orders from the driver, and what the driver reports: JSON over a pipe."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, ValidationError

from deployments.runtime.platform_health import DeploymentHealth, TrainingHealth


class DriverOrder(BaseModel):
    """What the supervisor asks the driver for; the environment says the rest."""

    config_file: Path
    scratch: Path
    url: str
    reports: int = -1  # the number of the pipe

    def with_pipe(self, pipe: int) -> Self:
        return self.model_copy(update={"reports": pipe})


class Daemon(BaseModel):
    """A process of the Ray cluster, as the driver started it."""

    name: str
    pid: int
    started: float  # kernel ticks: a recycled process id is not taken for it
    port: int | None = None  # where it answers health checks
    must_live: bool = False  # without it the cluster is lost


class Report(BaseModel):
    kind: Literal["step", "cluster", "ready", "deployments", "failed"]
    step: str = ""  # of the start, as it begins
    daemons: list[Daemon] = Field(default_factory=list)
    dashboard: str = ""  # of the cluster
    deployments: list[DeploymentHealth] = Field(default_factory=list)
    silent_s: float = 0.0  # for how long Serve's controller has given no answer
    training: TrainingHealth = Field(default_factory=TrainingHealth)
    sentence: str = ""


class ReportWriter:
    """The driver's end of the pipe."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def write(self, report: Report) -> None:
        with suppress(BrokenPipeError):  # the supervisor was killed; what serves goes on
            os.write(self._pipe, report.model_dump_json().encode() + b"\n")


def parsed(line: bytes) -> Report | None:
    try:
        return Report.model_validate_json(line)
    except ValidationError:
        return None
