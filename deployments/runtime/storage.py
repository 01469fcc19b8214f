"""How full Redis and the disk are: an alarm long before either is, and in time no new states.

Redis is embedded with a limit of its own (`BALLAST_REDIS_MEMORY_MB`); one from outside has its
`maxmemory`, or else all memory of its machine. The disk counts as filling only when little is free
in bytes too: four fifths of a large disk are no reason for alarm.
"""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from settings.redis_connection import REDIS_AWAY

# Shares of what there is. From FULL on no stream, experiment or study begins; those that there are
# go on with the rest, which the ledger needs too while its drain is behind.
ALARM, FULL = 0.8, 0.9
ALARM_FREE_BYTES, FULL_FREE_BYTES = 10 * 1024**3, 1024**3
LOOK_SECONDS = 2.0
# Where only the gauges show it; others look more often, and it is the same Redis and disk.
GAUGES_SECONDS = 10.0
_MB = 1024 * 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Storage:
    """How much of Redis's memory is used, and of the disk under BALLAST_HOME; in bytes."""

    redis_used: int
    redis_limit: int
    disk_free: int
    disk_total: int

    @property
    def redis_share(self) -> float:
        return self.redis_used / self.redis_limit if self.redis_limit else 0.0

    def reasons(self) -> list[str]:
        """Say in words what fills up."""
        found = []
        if self.redis_share >= ALARM:
            found.append(
                f"Redis uses {self.redis_used // _MB} of {self.redis_limit // _MB} MB: "
                "delete streams and studies, or give Redis more memory "
                "(BALLAST_REDIS_MEMORY_MB, or maxmemory)"
            )
        if self._disk_beyond(ALARM, ALARM_FREE_BYTES):
            found.append(
                f"The disk under BALLAST_HOME has {self.disk_free // _MB} MB left: free some space"
            )
        return found

    @property
    def full(self) -> bool:
        """Whether no new state may begin."""
        return self.redis_share >= FULL or self._disk_beyond(FULL, FULL_FREE_BYTES)

    def _disk_beyond(self, share: float, free: int) -> bool:
        used = self.disk_total - self.disk_free
        return used >= share * self.disk_total and self.disk_free < free


class StorageWatch:
    """Looks every few seconds; what was seen last stays while Redis is away."""

    def __init__(self, redis: Redis, home: Path) -> None:
        self._redis = redis
        self._home = home
        self._said: bool = False
        # Set where something is refused, or an alarm is raised, by what is seen here.
        self.decides = False
        self.seen: Storage | None = None

    def pause_seconds(self) -> float:
        return LOOK_SECONDS if self.decides else GAUGES_SECONDS

    async def look(self) -> None:
        try:
            memory = await self._redis.info("memory")
        except REDIS_AWAY:
            return  # said elsewhere
        self.seen = _storage(memory, self._home)
        reasons = self.seen.reasons()
        if reasons and not self._said:
            log.warning("Storage is filling up. %s", "; ".join(reasons))
        self._said = bool(reasons)

    def reasons(self) -> list[str]:
        return self.seen.reasons() if self.seen is not None else []

    def refusal(self) -> str | None:
        """Say why no new state may begin at present; None when it may."""
        if self.seen is None or not self.seen.full:
            return None
        return (
            "Storage is nearly full, and no new stream, experiment or study can be created. "
            + "; ".join(self.seen.reasons())
        )


def _storage(memory: dict[str, Any], home: Path) -> Storage:
    place = home
    while not place.exists():
        place = place.parent
    disk = shutil.disk_usage(place)
    limit = int(memory.get("maxmemory", 0)) or int(memory.get("total_system_memory", 0))
    return Storage(int(memory["used_memory"]), limit, disk.free, disk.total)
