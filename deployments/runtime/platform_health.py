"""How the platform on this machine is, as `ballast up` sees it: written each second, read by all.

The gateways read it from Redis for /status and /ready, the command line for `ballast status`. What
is older than a few seconds says that nobody watches any more.
"""

from typing import Literal

from pydantic import BaseModel, Field, ValidationError
from redis.asyncio import Redis

from settings.redis_connection import REDIS_AWAY
from settings.redis_names import redis_name

WRITTEN_EVERY_SECONDS = 1.0
STALE_SECONDS = 5.0

PartState = Literal["running", "silent", "ended"]
State = Literal["starting", "ready", "impaired", "restarting"]


class PartHealth(BaseModel):
    """One process that the platform rests on."""

    name: str
    state: PartState
    pid: int
    restarts: int = 0


class DeploymentHealth(BaseModel):
    """Whether a deployment has the replicas that serve_config.yaml asks for."""

    name: str
    wanted: int
    running: int
    waits_for: str = ""
    starting: bool = False  # all it waits for is that replicas come up

    @property
    def in_trouble(self) -> bool:
        """Tell scaling up, which is no trouble, from what needs a person or answers nothing."""
        return bool(self.waits_for) and (self.running == 0 or not self.starting)


class RunningTraining(BaseModel):
    """A training that runs in the background now."""

    title: str = Field(description="What is trained, such as the forecasters.")
    models: list[str]
    since: float = Field(description="When it began, epoch seconds.")
    share: float = Field(0.0, description="How much of it is done, 0 to 1.")
    step: str = Field("", description="What it is at.")


class Untrained(BaseModel):
    """A model that there is too little telemetry for."""

    model: str
    missing: str = Field(description="What is missing, and about how long it takes to come.")
    until_then: str = Field("", description="What answers in its place.")


class TrainingHealth(BaseModel):
    running: RunningTraining | None = None
    untrained: list[Untrained] = Field(
        default_factory=list, description="As of the last look, which comes every ten minutes."
    )


class PlatformHealth(BaseModel):
    written: float
    state: State
    problems: list[str] = Field(default_factory=list)
    parts: list[PartHealth] = Field(default_factory=list)
    deployments: list[DeploymentHealth] = Field(default_factory=list)
    restarts: int = 0
    training: TrainingHealth = Field(default_factory=TrainingHealth)

    def at(self, now: float) -> "PlatformHealth":
        """Say so when it is too old to be believed."""
        age = now - self.written
        if age <= STALE_SECONDS:
            return self
        problem = f"`ballast up` has not reported for {age:.0f} s: nothing is restarted"
        return self.model_copy(update={"state": "impaired", "problems": [problem]})


def decoded(content: bytes | str | None, now: float) -> PlatformHealth | None:
    """Read what was written; None where no `ballast up` watches, as on a cluster."""
    if content is None:
        return None
    try:
        return PlatformHealth.model_validate_json(content).at(now)
    except ValidationError:  # of another release
        return None


def health_name(redis: Redis) -> str:
    return redis_name(redis, "platform", "health")


async def read_health(redis: Redis, now: float) -> PlatformHealth | None:
    try:
        return decoded(await redis.get(health_name(redis)), now)
    except REDIS_AWAY:
        return None
