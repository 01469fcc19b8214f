"""Sees who goes by something else than what is active, and what was changed in Redis unasked.

Each gateway looks, since who has drifted, or is cut off, may not be able to say so.
"""

import logging
from collections.abc import Callable, Iterable

from config_store.errors import ChangedBehindError
from config_store.repair import Finding, Repair
from config_store.running import Running, RunningVersions
from config_store.steering.store import SteeringStore
from config_store.store import Version
from observability.metrics import Metrics

MOST_NAMED = 5

log = logging.getLogger(__name__)


class Drift:
    """What the last looks saw; who is behind for one look only is just about to follow."""

    def __init__(
        self,
        repair: Repair,
        running: RunningVersions,
        steering: SteeringStore,
        active: Callable[[], Version],
        metrics: Metrics,
    ) -> None:
        self._repair = repair
        self._running = running
        self._steering = steering
        self._active = active
        self._metrics = metrics
        self._seen: set[str] = set()
        self._lasting: set[str] = set()
        self._findings: list[Finding] = []

    async def look(self) -> None:
        """Count, and log what lasts since the look before, once."""
        self._findings, running = await self._repair.findings(), await self._running.all()
        _, wanted = await active_now(self._steering, self._active())
        behind = {each.replica for each in running if each.config_hash != wanted}
        lagging = {each.replica for each in running if each.lags}
        # Who is silent has mostly died, and its successor has another name.
        silent = {each.replica for each in running if each.silent}
        self._note((behind | lagging) - silent, running)
        self._metrics.config_drift.labels("replicas").set(len(behind))
        self._metrics.config_drift.labels("lagging").set(len(lagging))
        self._metrics.config_drift.labels("silent").set(len(silent))
        self._metrics.config_drift.labels("redis").set(len(self._findings))

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
                log.error(
                    "The replica %s does not follow the configuration: it goes by version %d, and "
                    "looked %.0f s ago",
                    each.replica,
                    each.version,
                    each.look_age_s + each.age_s,
                )
        self._seen, self._lasting = strayed, lasting


async def active_now(steering: SteeringStore, known: Version) -> tuple[int, str]:
    """Give what is active; what this gateway knows where the state cannot be trusted."""
    try:
        state = await steering.read()
    except ChangedBehindError:
        return known.number, known.config_hash
    return state.active, state.versions[state.active].content_hash


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)[:MOST_NAMED])
