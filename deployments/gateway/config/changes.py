"""Makes, checks and deploys versions of the configuration, as the API is asked to."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from access.keys import Role
from config_store.alias_follower import is_overtaken, is_switching, settled
from config_store.changes.merge_patch import merged
from config_store.changes.older_names import unserved_older_names
from config_store.changes.paths import WHOLE
from config_store.changes.reading import BadDocumentError, read_document
from config_store.document import ConfigDocument
from config_store.errors import ConfigError, OvertakenError, RefusedChangeError
from config_store.machine_files import files_named_anew
from config_store.pinning import pinned
from config_store.releases import policy_hash
from config_store.running import RunningVersions
from config_store.steering.commands import (
    Actor,
    Command,
    Deploy,
    SetSettings,
    Validate,
    Validated,
    Withdraw,
)
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Stage, SteeringState, Strategy, VersionLife
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore, Version
from deployments.api.config_rollouts import DeployBody
from deployments.api.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotServedError,
    UnavailableError,
)
from deployments.gateway.config.checks import faults_of
from deployments.gateway.config.policy_checks import PolicyChecks
from deployments.gateway.steering.words import what_next
from safety.proofs.findings import Finding, Grade, Report

UNFIT = "The document cannot become a version"
MOST_REFUSED = 1000
# Each try that fails is another operator's patch that came into force.
TRIES = 20


@dataclass(frozen=True, slots=True)
class Patched:
    """What became of a patch: the version, and why it is not in force where it is not."""

    version: Version
    changed: bool
    pending: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a document found: what refuses it, and what an approver has to name."""

    faults: dict[str, str]
    policy: str = ""
    against: str = ""
    report: Report | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        return () if self.report is None else self.report.unrefused

    def validated(self, life: VersionLife) -> Validated:
        """Make the command that says so of a version."""
        refusal = "; ".join(f"{path}: {what}" for path, what in self.faults.items())
        found = () if self.report is None or refusal else self.report.to_acknowledge
        return Validated(
            life.number,
            life.content_hash,
            refusal[:MOST_REFUSED],
            findings=found,
            policy=self.policy,
            against=self.against,
        )


class ConfigChanges:
    """One gateway's hand on the versions; what it knows is in Redis alone."""

    def __init__(
        self,
        redis: Redis,
        models: Path,
        wall: Callable[[], float],
        policies: PolicyChecks,
        steering: SteeringStore | None = None,
    ) -> None:
        self._wall = wall
        self._policies = policies
        self._models = models
        self.steering = steering or SteeringStore(redis)
        self.configs = ConfigStore(redis)
        self.running = RunningVersions(redis)
        # Patches of one gateway wait for one another, so that none is made in vain.
        self._patching = asyncio.Lock()

    async def command(self, command: Command, by: Actor) -> SteeringState:
        return (await self.steering.change(command, by, self._wall())).state

    async def draft(
        self,
        by: Actor,
        message: str,
        wanted: ConfigDocument,
        parent: int,
        made_from: int | None = None,
    ) -> VersionLife:
        """Draft a document, with a pin of each model that its aliases name now."""
        await self._refuse_files(wanted, parent, by)
        pinning = await asyncio.to_thread(pinned, wanted, self._models)
        now = self._wall()
        return await self.steering.draft(pinning, message, by, now, parent, made_from)

    async def patched(self, parent: Version, patch: dict[str, Any]) -> ConfigDocument:
        """Give what a patch makes of a version's document; InvalidError names what is wrong."""
        if unserved := unserved_older_names(patch):
            raise NotServedError("The patch names what this release does not serve yet", unserved)
        before = parent.document.model_dump(mode="json")
        try:
            return await asyncio.to_thread(lambda: read_document(merged(before, patch)))
        except BadDocumentError as error:
            raise InvalidError(UNFIT, error.faults) from error

    async def read(self, fields: dict[str, Any], parent: int) -> ConfigDocument:
        """Read a whole document; InvalidError names what is wrong.

        One that says nothing of models has its parent's: they do not change unsaid.
        """
        if "models" not in fields:
            with suppress(ConfigError):  # a parent that cannot be read is what it replaces
                before = (await self.configs.get(parent)).document
                fields = fields | {"models": before.model_dump(mode="json")["models"]}
        try:
            return await asyncio.to_thread(read_document, fields)
        except BadDocumentError as error:
            raise InvalidError(UNFIT, error.faults) from error

    async def checked(self, document: ConfigDocument) -> Checked:
        """Find what would fail in service, and what the proofs find in its safety policy.

        A family's policy that is in force already was proved before, and is not proved again.
        """
        found = await asyncio.to_thread(faults_of, document, self._models)
        active = (await self.configs.active()).document
        policy, against = await asyncio.to_thread(
            lambda: (policy_hash(document), policy_hash(active))
        )
        if found or policy == against:
            return Checked(found, policy, against)
        report = await self._policies.check(
            document.safety.model_dump(mode="json"), active.safety, only_changed=True
        )
        refused = {
            f"safety.families.{each.family}: {each.rule}": each.message
            for each in report.findings
            if each.grade is Grade.REFUSED
        }
        return Checked(refused, policy, against, report)

    async def validate(self, number: int, by: Actor) -> Checked:
        """Check a version, and note what came of it."""
        life = await self.steering.life(number)
        await self.command(Validate(number), by)
        try:
            version = await self.configs.get(number)
            checked = await self.checked(version.document)
        except ConfigError as unreadable:
            checked = Checked({WHOLE: str(unreadable)})
        await self.command(checked.validated(life), by)
        return checked

    async def patch(
        self, patch: dict[str, Any], by: Actor, message: str, base: int | None
    ) -> Patched:
        """Make a version of the active one and a patch, check it, and deploy it where it may be."""
        async with self._patching:
            for _ in range(TRIES):
                state = await settled(self.steering)
                deployed = (self._at_once(state.active, state.active),)
                if await self.steering.has_carried_out(deployed, by):
                    version = await self.configs.get(state.active)
                    return Patched(version, changed=True, pending="")
                if base is not None and base != state.active:
                    raise ConflictError(
                        f"Version {state.active} is active by now, and not {base}: look at what "
                        "it changed, and send the patch for that one"
                    )
                if (found := await self._patch_active(state, patch, by, message)) is not None:
                    return found
        raise UnavailableError(
            f"Other versions came into force {TRIES} times while this patch was made: try again"
        )

    async def set_settings(
        self, changed: Callable[[SteeringSettings], SteeringSettings], by: Actor
    ) -> SteeringSettings:
        """Change the settings of steering, and nothing of what others change meanwhile."""
        for _ in range(TRIES):
            before = (await self.steering.read()).settings
            with suppress(OvertakenError):
                return (await self.command(SetSettings(changed(before), before), by)).settings
        raise UnavailableError(f"Others changed the settings {TRIES} times meanwhile: try again")

    async def deploy(self, asked: DeployBody, by: Actor) -> SteeringState:
        """Begin a rollout; a moved alias that is on its way at once to all keys is waited for."""
        seen = await settled(self.steering)
        try:
            return await self._deploy(asked, seen.active, by)
        except RefusedChangeError:  # one may have begun since that look
            if is_switching(seen) or not is_switching(await self.steering.read()):
                raise
        return await self._deploy(asked, (await settled(self.steering)).active, by)

    async def _deploy(self, asked: DeployBody, active: int, by: Actor) -> SteeringState:
        after = active if asked.after is None else asked.after
        parts = await self._parts() if asked.strategy is Strategy.ROLLING else 1
        command = Deploy(
            number=asked.version,
            strategy=asked.strategy,
            id=asked.id or self._rollout_id(),
            after=after,
            reason=asked.reason,
            shares=asked.shares,
            replicas=parts,
            settings=asked.settings,
            despite_branch=asked.despite_branch,
        )
        return await self.command(command, by)

    async def _patch_active(
        self, state: SteeringState, patch: dict[str, Any], by: Actor, message: str
    ) -> Patched | None:
        """Do it once; None where another version became active meanwhile."""
        parent = await self.configs.get(state.active)
        document = await self.patched(parent, patch)
        # An earlier release's version pins nothing, and a patch that changes nothing pins nothing.
        if document != parent.document:
            document = await asyncio.to_thread(pinned, document, self._models)
        if document == parent.document:
            return Patched(parent, changed=False, pending="")
        await self._refuse_files(document, parent.number, by)
        checked = await self.checked(document)
        if checked.faults:
            raise InvalidError(UNFIT, checked.faults)
        life = await self.steering.draft(document, message, by, self._wall(), parent.number)
        version = await self.configs.get(life.number)
        both: list[Command] = [Validate(life.number), checked.validated(life)]
        changed = await self.steering.change(both, by, self._wall())
        life = changed.state.versions[life.number]
        if life.stage is not Stage.APPROVED:
            return Patched(version, changed=True, pending=what_next(life, changed.state.settings))
        return await self._deploy_patch(version, state, by)

    async def _refuse_files(self, document: ConfigDocument, parent: int, by: Actor) -> None:
        """Refuse a file of this machine that the parent does not name; an admin may name any."""
        if by.role.includes(Role.ADMIN):
            return
        before: ConfigDocument | None = None
        with suppress(ConfigError):  # of a parent that cannot be read nothing is known
            before = (await self.configs.get(parent)).document
        if named := files_named_anew(document, before):
            raise ForbiddenError(
                f"{', '.join(named)} has the platform read files of its machine, or sends what is "
                "in them elsewhere: only a key with the role admin may state that"
            )

    async def _deploy_patch(
        self, version: Version, seen: SteeringState, by: Actor
    ) -> Patched | None:
        command = self._at_once(version.number, seen.active)
        try:
            await self.command(command, by)
        except RefusedChangeError as refusal:
            if is_overtaken(seen, await self.steering.read()):
                await self._withdraw(version.number, by)
                return None
            return Patched(version, changed=True, pending=str(refusal))
        return Patched(version, changed=True, pending="")

    def _at_once(self, number: int, after: int) -> Deploy:
        return Deploy(number, Strategy.BLUE_GREEN, self._rollout_id(), after)

    async def _withdraw(self, number: int, by: Actor) -> None:
        """Give up what is made anew on top of another version: nobody would ever deploy it."""
        with suppress(RefusedChangeError):  # somebody deployed it, or has the lock by now
            await self.command(Withdraw(number, "another version became active first"), by)

    async def _parts(self) -> int:
        """Count the replicas of the deployment that has most: each is one part of the keys."""
        running = [each for each in await self.running.all() if not each.silent]
        counted = Counter(each.role for each in running)
        return max(counted.values(), default=1)

    def _rollout_id(self) -> str:
        """Name a rollout so that later ones sort after earlier ones."""
        return f"{int(self._wall() * 1000):012x}-{secrets.token_hex(4)}"
