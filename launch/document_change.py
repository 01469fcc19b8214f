"""Makes a version of what a command changes in the active document, and deploys it.

The command speaks to Redis, so that it works while the platform does not run; what it does goes
through steering, as what the API is asked does.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from redis.asyncio import Redis

from access.keys import Role
from config_store.alias_follower import is_overtaken, settled
from config_store.document import ConfigDocument
from config_store.errors import RefusedChangeError
from config_store.pinning import pinned
from config_store.releases import policy_hash
from config_store.steering.commands import (
    Actor,
    Command,
    Deploy,
    Validate,
    Validated,
    Withdraw,
)
from config_store.steering.next_step import next_of
from config_store.steering.state import Stage, Strategy, VersionLife
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from launch.errors import LaunchError
from launch.in_commands import in_commands

AUTHOR = "ballast"
BY = Actor(AUTHOR, Role.OPERATOR)
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Made:
    """The version that a change made, and why it is not in force where it is not."""

    number: int
    pending: str = ""

    def describe(self, what: str) -> str:
        """Say what was done, and whether it is in force."""
        if not self.pending:
            return f"{what}: configuration version {self.number} is active."
        return (
            f"{what} in configuration version {self.number}, which is not in force yet: "
            f"{self.pending}"
        )


async def change_document(
    redis: Redis,
    models: Path,
    change: Callable[[ConfigDocument], ConfigDocument],
    reason: str,
    now: datetime,
) -> Made:
    """Make a version of what a change makes of the active document, check it, and deploy it.

    Where another version became active meanwhile, the change is made to that one. Where approvals
    are needed, or a freeze, a rollout or emergency mode is in the way, it is left to people.
    """
    configs, steering = ConfigStore(redis), SteeringStore(redis)
    for _ in range(ATTEMPTS):
        seen = await settled(steering)
        before = await configs.get(seen.active)
        document = await asyncio.to_thread(_checked, change(before.document), models)
        life = await steering.draft(document, reason, BY, now.timestamp(), before.number)
        # It changes no policy, so there is nothing in it to be found.
        policy = await asyncio.to_thread(policy_hash, document)
        checked: list[Command] = [
            Validate(life.number),
            Validated(life.number, life.content_hash, policy=policy, against=policy),
        ]
        state = (await steering.change(checked, BY, now.timestamp())).state
        if state.versions[life.number].stage is not Stage.APPROVED:
            needed = next_of(state.versions[life.number], state.settings).missing
            return Made(life.number, _approvals(life.number, needed))
        try:
            await steering.change(_deploy(life, before.number), BY, now.timestamp())
        except RefusedChangeError as refusal:
            if not is_overtaken(seen, await steering.read()):
                why = in_commands(str(refusal))
                return Made(life.number, f"{why} Then: `ballast config deploy {life.number}`.")
            with suppress(RefusedChangeError):  # somebody deployed it, or has the lock by now
                again = Withdraw(life.number, "another version became active first")
                await steering.change(again, BY, now.timestamp())
        else:
            return Made(life.number)
    raise LaunchError(
        f"Nothing was changed: other versions became active {ATTEMPTS} times meanwhile. "
        "See who activates them, and run the command again."
    )


def _checked(document: ConfigDocument, models: Path) -> ConfigDocument:
    """Pin its models, and refuse what would fail in service."""
    # Brings Arrow with it, which most commands need not wait for.
    from deployments.gateway.config.checks import faults_of  # noqa: PLC0415 - see above

    document = pinned(document, models)
    if faults := faults_of(document, models):
        why = "; ".join(f"{place}: {what}" for place, what in faults.items())
        raise LaunchError(f"Nothing was changed, for this would fail in service: {why}.")
    return document


def _deploy(life: VersionLife, after: int) -> Deploy:
    id_ = f"{AUTHOR}-{life.number}-{life.content_hash[:12]}"
    return Deploy(life.number, Strategy.BLUE_GREEN, id_, after, life.message)


def _approvals(number: int, needed: int) -> str:
    return (
        f"it needs {needed} {'approval' if needed == 1 else 'approvals'}, "
        f"`ballast config approve {number}`, and then `ballast config deploy {number}`."
    )
