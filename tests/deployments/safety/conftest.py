"""A safety stage without a replica of Serve's: its clock and its steering state are the test's."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.asyncio import Redis

from config_store.steering.state import Emergency, Override, Stage, SteeringState, VersionLife
from deployments.safety.deployment import Safety
from settings.environment import Settings

NOW = 1_772_461_800.0
LIFE = VersionLife(
    number=1,
    content_hash="c1",
    author="ada",
    message="a start",
    parent=None,
    created=NOW - 3600,
    stage=Stage.ACTIVE,
)


def state(
    revision: int = 1,
    emergency: Emergency | None = None,
    overrides: tuple[Override, ...] = (),
    released: float | None = None,
) -> SteeringState:
    return SteeringState(
        revision=revision,
        changed=NOW,
        active=1,
        versions={1: LIFE},
        emergency=emergency,
        overrides=overrides,
        released=released,
    )


def override(**changes: Any) -> Override:
    """Make one of the tail family's that holds for a minute."""
    usual: dict[str, Any] = {
        "id": "o1",
        "family": "tail",
        "entity": "",
        "field": "autoscale_workers",
        "value": 40.0,
        "reason": "an auction",
        "author": "grace",
        "created": NOW,
        "expires": NOW + 60,
    }
    return Override(**(usual | changes))


@dataclass
class SetClocks:
    """Clocks that stand until they are set; both show the same."""

    now: float = NOW

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


@dataclass
class KnownSteering:
    value: SteeringState | None = field(default_factory=state)
    up_to_date: bool = True
    was_stopped: bool = False


@dataclass
class LittleReplica:
    """What a safety stage uses of its replica to judge."""

    redis: Redis
    settings: Settings = field(default_factory=Settings)
    clocks: SetClocks = field(default_factory=SetClocks)
    steering: KnownSteering = field(default_factory=KnownSteering)

    def before_snapshot(self, _: Any) -> None:
        """Publish nothing."""


@pytest.fixture
def replica(redis: Redis) -> LittleReplica:
    return LittleReplica(redis)


@pytest.fixture
def safety(replica: LittleReplica) -> Safety:
    stands_in: Any = replica
    return Safety(stands_in)
