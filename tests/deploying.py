"""Versions of the configuration, drafted and brought into force as the product does it."""

import time
from datetime import UTC, datetime

from redis.asyncio import Redis

from access.keys import Role
from config_store.alias_follower import settled
from config_store.document import ConfigDocument
from config_store.errors import NoActiveVersionError
from config_store.releases import policy_hash
from config_store.steering.commands import Actor, Command, Deploy, RollBack, Validate, Validated
from config_store.steering.state import SteeringState, Strategy, VersionLife
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore

ADA = Actor("ada", Role.ADMIN)


async def drafted(
    redis: Redis, document: ConfigDocument, message: str = "a change", now: float | None = None
) -> VersionLife:
    """Write a version on top of the active one."""
    return await SteeringStore(redis).draft(document, message, ADA, now or time.time())


async def validated(
    redis: Redis, document: ConfigDocument, now: float | None = None
) -> VersionLife:
    """Write a version that may be deployed: as if nothing had been found in it."""
    steering, now = SteeringStore(redis), now or time.time()
    life = await drafted(redis, document, now=now)
    checked = _checked(life, document, await steering.read())
    return (await steering.change(checked, ADA, now)).state.versions[life.number]


async def deployed(
    redis: Redis, document: ConfigDocument, message: str = "a change", now: float | None = None
) -> int:
    """Bring a document into force for all keys at once; give the number of its version.

    Where nothing was active ever, it becomes the first version, as on a fresh machine.
    """
    steering, now = SteeringStore(redis), now or time.time()
    try:
        state = await settled(steering)
    except NoActiveVersionError:
        created = datetime.fromtimestamp(now, UTC)
        return await ConfigStore(redis).bootstrap(document, ADA.name, message, created)
    life = await drafted(redis, document, message, now)
    deploy = Deploy(life.number, Strategy.BLUE_GREEN, f"at-once-{life.number}", state.active)
    await steering.change([*_checked(life, document, state), deploy], ADA, now)
    return life.number


async def rolled_back(redis: Redis, number: int) -> None:
    """Go back to a version that was active before."""
    steering = SteeringStore(redis)
    await settled(steering)  # a moved alias on its way would be given up for good
    await steering.change(RollBack("as it was", number), ADA, time.time())


def _checked(life: VersionLife, document: ConfigDocument, state: SteeringState) -> list[Command]:
    """Give the commands that say so: its policy was compared with the one that is in force."""
    against = state.versions[state.active].policy
    return [
        Validate(life.number),
        Validated(life.number, life.content_hash, policy=policy_hash(document), against=against),
    ]
