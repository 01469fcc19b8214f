"""What every replica keeps open: Redis, the active configuration, its metrics and its logs."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from config_store.store import ConfigStore, Version
from config_store.watch import ConfigWatch
from deployments.runtime import own_cluster
from deployments.runtime.autoscaling import BusyMeter
from deployments.runtime.clocks import SystemClocks
from deployments.runtime.log_files import write_logs
from deployments.runtime.storage import LOOK_SECONDS, StorageWatch
from observability.exposition import snapshot
from observability.metrics import Metrics
from observability.snapshots import Publisher
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY, open_redis

# A replica that has no configuration (a gateway: no keys) by then is started anew by Serve.
FIRST_CONFIG_SECONDS = 20.0
PUBLISH_SECONDS = 1.0


class Replica:
    """Opened once in a deployment's constructor, closed in its destructor."""

    def __init__(
        self,
        role: str,
        on_config: Callable[[Version], None],
        before_snapshot: Callable[[], None] = lambda: None,
    ) -> None:
        self._before_snapshot = before_snapshot
        self.settings = Settings()
        self.clocks = SystemClocks()
        write_logs(self.settings, role)
        own_cluster.keep_ports_private()
        self.metrics = Metrics(CollectorRegistry())
        self.busy = BusyMeter()
        self.redis: Redis = open_redis(self.settings.redis_address, self.settings.redis_prefix)
        self._publisher = Publisher(self.redis, role)
        self.loops = self.metrics.loops
        self.config = ConfigWatch(self.redis, on_config, loops=self.loops)
        self.storage = StorageWatch(self.redis, self.settings.home)

    async def config_once(self) -> Version:
        """Give the active configuration to a constructor that needs it before it can open."""
        return await ConfigStore(self.redis).active()

    async def open(self) -> Version:
        await self.config.start()
        # Counters only grow: the next snapshot says it all.
        self.loops.start(
            "publish metrics", self._publish, lambda: PUBLISH_SECONDS, expected=REDIS_AWAY
        )
        self.loops.start("look at storage", self.storage.look, lambda: LOOK_SECONDS)
        await self.config.first(FIRST_CONFIG_SECONDS)
        await self.storage.look()
        return await self.config.first(FIRST_CONFIG_SECONDS)  # a newer one may have come

    async def close(self) -> None:
        await self.config.stop()
        await self.loops.stop()
        await self.redis.aclose()

    def note_storage(self) -> None:
        """Set the gauges to what was seen last."""
        if (storage := self.storage.seen) is not None:
            self.metrics.redis_memory_used_bytes.set(storage.redis_used)
            self.metrics.redis_memory_limit_bytes.set(storage.redis_limit)
            self.metrics.home_disk_free_bytes.set(storage.disk_free)

    async def _publish(self) -> None:
        self._before_snapshot()
        version = self.config.value
        if version is not None:
            self.metrics.config_version.set(version.number)
        self.note_storage()
        await self._publisher.publish(snapshot(self.metrics.registry, self.clocks.wall()))
