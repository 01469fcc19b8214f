"""Sees who goes by something else than what is active, and what was changed in Redis unasked.

Each gateway looks, since who has drifted, or is cut off, may not be able to say so.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from access.keys import Role
from config_store.drift_record import DriftRecord
from config_store.errors import ChangedBehindError, ConfigError
from config_store.repair import STATE, Finding, Repair
from config_store.running import Running, RunningVersions
from config_store.steering.commands import Actor
from config_store.steering.store import SteeringStore
from config_store.store import Version
from observability.metrics import Metrics

MOST_NAMED = 5
REPLICA = "the replica "
GATEWAY = Actor("a gateway", Role.OPERATOR)
ENDED = "it is as steering wrote it, or is needed no more"

log = logging.getLogger(__name__)


class Drift:
    """What the last looks saw; who is behind for one look only is just about to follow."""

    def __init__(
        self,
        repair: Repair,
        running: RunningVersions,
        steering: SteeringStore,
        record: DriftRecord,
        active: Callable[[], Version],
        wall: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._repair = repair
        self._running = running
        self._steering = steering
        self._record = record
        self._active = active
        self._wall = wall
        self._metrics = metrics
        self._seen: set[str] = set()
        self._lasting: set[str] = set()
        self._findings: list[Finding] = []

    async def look(self) -> None:
        """Count, and log what lasts since the look before, once; the timeline tells it too."""
        self._findings, running = await self._repair.findings(), await self._running.all()
        _, wanted = await active_now(self._steering, self._active())
        behind = {each.replica for each in running if each.config_hash != wanted}
        lagging = {each.replica for each in running if each.lags}
        # Who is silent has mostly died, and its successor has another name.
        silent = {each.replica for each in running if each.silent}
        strayed = (behind | lagging) - silent
        self._note(strayed, running)
        self._metrics.config_drift.labels("replicas").set(len(behind))
        self._metrics.config_drift.labels("lagging").set(len(lagging))
        self._metrics.config_drift.labels("silent").set(len(silent))
        self._metrics.config_drift.labels("redis").set(len(self._findings))
        await self._tell(strayed, {each.replica: each for each in running})
        if any(each.subject == STATE for each in self._findings):
            with suppress(ConfigError):  # another gateway was quicker, or its document is gone
                await self._revive()

    def reasons(self) -> list[str]:
        """Say what is not as it should be, and what to do."""
        found = [f"{each.what} {each.remedy}" for each in self._findings]
        if self._lasting:
            found.append(
                f"{len(self._lasting)} replicas do not follow the configuration: "
                f"{_listed(self._lasting)}. `ballast config drift` says what each goes by"
            )
        return found

    def _note(self, strayed: set[str], running: Iterable[Running]) -> None:
        lasting = strayed & self._seen
        for each in running:
            if each.replica in lasting - self._lasting:
                log.error("The replica %s does not follow: %s", each.replica, _in_words(each))
        self._seen, self._lasting = strayed, lasting

    async def _revive(self) -> None:
        if await self._repair.revive(GATEWAY, self._wall()):
            log.warning(
                "The steering state was spoilt, and this process never knew it: it is written "
                "again from its copy"
            )

    async def _tell(self, strayed: set[str], running: Mapping[str, Running]) -> None:
        """Have the timeline say what lasts, and what of all that it said is over."""
        drifting = {f"{REPLICA}{name}": _in_words(running[name]) for name in self._lasting}
        drifting |= {each.subject: each.what for each in self._findings}

        def why_ended(name: str) -> str | None:
            if name.startswith(REPLICA):
                replica = name.removeprefix(REPLICA)
                return None if replica in strayed else _end_in_words(running.get(replica))
            # Of documents nothing is known while it is not known which there should be.
            return None if STATE in drifting else ENDED

        await self._record.note(drifting, why_ended, self._wall())


async def active_now(steering: SteeringStore, known: Version) -> tuple[int, str]:
    """Give what is active; what this gateway knows where the state cannot be trusted."""
    try:
        state = await steering.read()
    except ChangedBehindError:
        return known.number, known.config_hash
    return state.active, state.versions[state.active].content_hash


def _in_words(each: Running) -> str:
    return f"it goes by version {each.version}, and looked {each.look_age_s + each.age_s:.0f} s ago"


def _end_in_words(each: Running | None) -> str:
    if each is None or each.silent:
        return "it reports no more"
    return f"it goes by version {each.version}, which is active"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)[:MOST_NAMED])
