"""What every replica keeps open: Redis, the active configuration, its metrics and its logs."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from config_store.errors import ConfigError, NothingLoadedError
from config_store.running import CandidateReport, RunningVersions
from config_store.steering.state import SteeringState
from config_store.steering.watch import SteeringWatch
from config_store.store import ConfigStore, Version
from config_store.watch import ConfigWatch
from deployments.runtime import own_cluster
from deployments.runtime.autoscaling.meter import LoadMeter
from deployments.runtime.autoscaling.signals import BUSY, WAIT, waited_for
from deployments.runtime.clocks import SystemClocks
from deployments.runtime.storage import StorageWatch
from observability.exposition import snapshot
from observability.logs import write_logs
from observability.metrics import Metrics
from observability.snapshots import Publisher
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY, open_redis

log = logging.getLogger(__name__)

# A replica that has no configuration (a gateway: no keys) by then is started anew by Serve.
FIRST_CONFIG_SECONDS = 20.0
PUBLISH_SECONDS = 1.0
# Taking all metrics costs some milliseconds: while nobody is answered, each so many turns do.
QUIET_TURNS = 8


class Replica:
    """Opened once when a deployment's replica begins, closed when it ends."""

    def __init__(self, role: str) -> None:
        self._followers: list[Callable[[Version], None]] = []
        self._steering_followers: list[Callable[[SteeringState], None]] = []
        self._counts: list[Callable[[], None]] = []
        self._is_open = False
        self.settings = Settings()
        self.clocks = SystemClocks()
        write_logs(self.settings.paths.logs, role, self.settings.log_level)
        own_cluster.keep_ports_private()
        self.metrics = Metrics(CollectorRegistry())
        self.load = LoadMeter()
        self.redis: Redis = open_redis(self.settings.redis_address, self.settings.redis_prefix)
        self._role = role
        self._publisher = Publisher(self.redis, role)
        self._running = RunningVersions(self.redis)
        self._loaded: CandidateReport | None = None
        self._said_at = 0.0
        self._signed: tuple[str, str] | None = None
        self._reporting = asyncio.Lock()
        self._worked = True
        self._quiet_turns = 0
        self.loops = self.metrics.loops
        self.config = ConfigWatch(self.redis, self._hand_on, loops=self.loops)
        self.steering = SteeringWatch(self.redis, self._hand_on_steering, loops=self.loops)
        # A gateway goes by more than the notice of a version.
        self.goes_by: Callable[[], Version | None] = lambda: self.config.value
        self.storage = StorageWatch(self.redis, self.settings.home)

    def follow(self, on_config: Callable[[Version], None]) -> None:
        """Hand over the version that is active, where there is one yet, and each that follows."""
        if (version := self.config.value) is not None:
            on_config(version)
        self._followers.append(on_config)

    def follow_steering(self, on_state: Callable[[SteeringState], None]) -> None:
        """Hand over the steering state, where one is known yet, and each that follows."""
        if (state := self.steering.value) is not None:
            on_state(state)
        self._steering_followers.append(on_state)

    def before_snapshot(self, count: Callable[[], None]) -> None:
        """Have this called before each time that the metrics are published."""
        self._counts.append(count)

    def note_work(self) -> None:
        """Have the metrics published at the next turn: an answer is seen within a second."""
        self._worked = True

    def sign(self, place: tuple[str, str]) -> None:
        """Have each report write its time to this field of a hash too, in the same step."""
        self._signed = place

    async def end_signing(self) -> None:
        """Sign no more, once the report that is on its way has come through."""
        async with self._reporting:
            self._signed = None

    async def config_once(self) -> Version:
        """Give the active configuration to a constructor that needs it before it can open."""
        return await ConfigStore(self.redis).active()

    async def open(self) -> Version:
        self.load.start()
        await self.config.start()
        await self.steering.start()
        # Counters only grow: the next snapshot says it all.
        self.loops.start(
            "publish metrics", self._tell, lambda: PUBLISH_SECONDS, expected=REDIS_AWAY
        )
        self.loops.start("look at storage", self.storage.look, self.storage.pause_seconds)
        await self.config.first(FIRST_CONFIG_SECONDS)
        await self._first_steering()
        await self.storage.look()
        # Before it answers anybody: a rollout that waits for every replica waits for this one too.
        with suppress(*REDIS_AWAY):
            await self._report_version()
        self._is_open = True
        if not self.settings.plain:  # there batches come through Ray
            own_cluster.let_main_thread_rest()
        return await self.config.first(FIRST_CONFIG_SECONDS)  # a newer one may have come

    async def close(self) -> None:
        self.load.stop()
        await self.config.stop()
        await self.steering.stop()
        await self.loops.stop()
        with suppress(*REDIS_AWAY):
            await self._running.leave(self._publisher.name)
        await self.redis.aclose()

    async def say_loaded(self, content_hash: str, why_not: str = "") -> None:
        """Say that this replica can answer by the rollout's candidate, or why it cannot."""
        self._loaded, self._said_at = (
            CandidateReport(content_hash, why_not),
            self.clocks.monotonic(),
        )
        await self._report_version()

    def report_load(self) -> dict[str, float]:
        """Tell Serve how much this replica has to do, and note the same in the metrics."""
        found = self.load.report()
        self.metrics.replica_busy_cores.labels(self._role).set(found[BUSY])
        self.metrics.replica_wait_seconds.labels(self._role).set(found[WAIT])
        for name, seconds in found.items():
            if (stage := waited_for(name)) is not None:
                self.metrics.lane_wait_seconds.labels(stage).set(seconds)
        return found

    def in_emergency(self) -> bool:
        """Tell whether emergency mode is on; who knows nothing of it takes it for on."""
        state = self.steering.value
        return state is None or state.emergency is not None

    async def _first_steering(self) -> None:
        """Let no answer leave before it is known whether there is an emergency.

        A state that somebody changed behind our back cannot be known. Then the fallback answers:
        that is better than no answer, and than a model's in an emergency.
        """
        try:
            await self.steering.first(FIRST_CONFIG_SECONDS)
        except NothingLoadedError as unknown:
            if not isinstance(unknown.__cause__, ConfigError):
                raise
            log.error("%s Until then every family answers its fallback", unknown)  # noqa: TRY400 - the sentence says it all

    def note_storage(self) -> None:
        """Set the gauges to what was seen last."""
        if (storage := self.storage.seen) is not None:
            self.metrics.redis_memory_used_bytes.set(storage.redis_used)
            self.metrics.redis_memory_limit_bytes.set(storage.redis_limit)
            self.metrics.home_disk_free_bytes.set(storage.disk_free)

    def _hand_on(self, version: Version) -> None:
        self.note_work()
        for on_config in self._followers:
            on_config(version)

    def _hand_on_steering(self, state: SteeringState) -> None:
        self.note_work()
        for on_state in self._steering_followers:
            on_state(state)

    async def _tell(self) -> None:
        """Tell each second what this replica goes by, and its metrics where it has worked."""
        self._quiet_turns += 1
        if self._worked or self._quiet_turns >= QUIET_TURNS:
            await self._publish()
        else:
            self.steering.log_lag()
            await self._report_version()

    async def _publish(self) -> None:
        version, look_age = self.goes_by(), self.steering.age_seconds
        if version is not None:
            self.metrics.config_version.set(version.number)
        self.metrics.steering_age_seconds.set(look_age)
        self.steering.log_lag()
        if self._is_open:
            self.metrics.emergency_mode.set(self.in_emergency())
        self.note_storage()
        try:
            for count in self._counts:  # last: a stage may know better
                count()
        finally:
            await self._report_version()  # behind what is counted also while Redis is away
        name = self._publisher.name
        # Until it has arrived it is due; what is counted meanwhile is the next one's.
        self._worked, self._quiet_turns = False, QUIET_TURNS
        await self._publisher.publish(snapshot(self.metrics.registry, self.clocks.wall()))
        self._quiet_turns = 0
        if name != self._publisher.name:  # it was stopped, and taken for dead
            await self._running.leave(name)

    async def _report_version(self) -> None:
        async with self._reporting:  # the last word is the newest
            version, look_age, loaded = self.goes_by(), self.steering.age_seconds, self._loaded
            if version is None:
                return
            if loaded is not None:
                loaded = loaded._replace(age_s=self.clocks.monotonic() - self._said_at)
            await self._running.report(
                self._publisher.name,
                self._role,
                version.number,
                version.config_hash,
                look_age,
                loaded,
                self._signed,
            )
