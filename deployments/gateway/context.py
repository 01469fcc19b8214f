"""What the gateway's routes work with; opened with the replica, closed with it."""

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Self

from access.key_store import KeyStore
from access.keys import KeyRing
from access.wire_secret import wire_secret
from config_store.document import FeatureConfig
from config_store.drift_record import DriftRecord
from config_store.repair import Repair
from config_store.steering.state import Freeze
from config_store.store import ConfigStore, Version
from config_store.watch import RedisWatch
from deployments.api.endpoint import InferenceEndpoint
from deployments.api.errors import UnavailableError
from deployments.api.shipped import FAMILIES
from deployments.gateway.admission.admission import Admission
from deployments.gateway.admission.rate_limits import RateLimits
from deployments.gateway.admission.rate_shares import RateShares
from deployments.gateway.bodies.room import BodyRoom
from deployments.gateway.config.changes import ConfigChanges
from deployments.gateway.config.policy_checks import PolicyChecks
from deployments.gateway.decisions.lookups import DecisionLookups
from deployments.gateway.documentation.sessions import Sessions
from deployments.gateway.event_streams.listeners import Listeners
from deployments.gateway.features.reader import FeatureReader
from deployments.gateway.features.vectors_path import VectorsQuestions
from deployments.gateway.health.counts import GatewayCounts
from deployments.gateway.health.degraded import degraded_reasons
from deployments.gateway.health.watching import watch_others
from deployments.gateway.lanes.lanes import Lanes
from deployments.gateway.lanes.waits import LaneWaits
from deployments.gateway.pipeline.pipeline import InferencePipeline, Stages
from deployments.gateway.pipeline.timings import Stopwatch
from deployments.gateway.stages.hops import Handles, Hops
from deployments.gateway.stages.state_client import StateClient
from deployments.gateway.steering.choice import VersionChoice
from deployments.gateway.steering.drift import Drift
from deployments.gateway.steering.following import SteeringFollower
from deployments.gateway.telemetry.remote_write import RemoteWrites
from deployments.runtime.coverage.outcomes import OutcomeRecorder
from deployments.runtime.replica import FIRST_CONFIG_SECONDS, Replica
from features.telemetry.intake import Intake
from observability.background import BackgroundLoop
from observability.ledger.decision import DecisionIds, writer_name
from observability.ledger.spools import Spools
from observability.ledger.writer import LedgerWriter
from settings.redis_connection import REDIS_AWAY

SPOOLS_SECONDS = 1.0
# Of posted telemetry, whose bodies are twice as large and become ten times as much while they are
# read.
POSTS_PER_KEY = 4
POSTS_IN_ALL = 8


class GatewayContext:
    """One gateway replica's lanes, ledger writer, key ring and configuration.

    `opened` makes one that admits and answers; the constructor only puts the parts together.
    """

    def __init__(self, replica: Replica, handles: Handles, secret: bytes) -> None:
        self.replica = replica
        self._configured = ""  # the hash of the document whose limits hold here
        self._stopwatch = Stopwatch(replica.metrics)
        self.settings = replica.settings
        self.clocks = replica.clocks
        self.families: dict[str, InferenceEndpoint] = {
            name: family for name, family in FAMILIES.items() if family.stage in handles.models
        }
        stored = KeyStore(replica.redis)
        self.keys: RedisWatch[KeyRing] = RedisWatch(
            replica.redis, stored.channel, stored.ring, _noted, loops=replica.loops
        )
        self.configs = ConfigStore(replica.redis)
        self.policy_checks = PolicyChecks()
        self.changes = ConfigChanges(
            replica.redis,
            self.settings.paths.models,
            self.clocks.wall,
            self.policy_checks,
            replica.steering.store,
        )
        self.repair = Repair(replica.redis)
        self._drift = Drift(
            self.repair,
            self.changes.running,
            self.changes.steering,
            DriftRecord(replica.redis),
            self.active,
            self.clocks.wall,
            replica.metrics,
        )
        self.ledger = LedgerWriter(
            replica.redis,
            writer=writer_name("gateway", os.urandom),
            spool_dir=Path(self.settings.paths.spool),
            clock=self.clocks.wall,
            loops=replica.loops,
        )
        self.rates = RateLimits(self.clocks.monotonic, self._count_refusal)
        self.rate_shares = RateShares(replica.redis, self.rates, self.clocks)
        self.admission = Admission(lambda: self.keys.value, self.rates)
        self.listeners = Listeners()
        self.spools = Spools(replica.redis, Path(self.settings.paths.spool), self.clocks.wall)
        self.lookups = DecisionLookups(self.clocks.monotonic, why_waiting=self.spools.why_waiting)
        self.intake = Intake(replica.redis)
        self.features = FeatureReader(replica.redis, self.clocks.monotonic, self._refresh_seconds)
        self.post_room = BodyRoom(POSTS_PER_KEY, POSTS_IN_ALL)
        self.vectors = VectorsQuestions(
            self.features, self.post_room, self.active, self.clocks.wall
        )
        self.outcomes = OutcomeRecorder(replica.redis, self.clocks.monotonic)
        self.sessions = Sessions(secret, lambda: self.keys.value, self.clocks.wall)
        self.hops = Hops(replica, handles, self.families, secret)
        ids = DecisionIds(self.clocks.wall, os.urandom)
        self.keyed = StateClient(self.hops.models, ids, self.active)
        self.choice = VersionChoice(lambda: replica.config.value, self.clocks.wall)
        self._following = SteeringFollower(replica, self.choice, self.configs.get, self._configure)
        replica.goes_by = self.choice.active
        self.lanes = Lanes(
            self._pipelines(ids), self.choice, self.clocks, self._following.look_first
        )
        self.remote_writes = RemoteWrites(replica.redis, self.lanes.turns)
        self._counts = GatewayCounts(
            replica.metrics,
            replica.note_work,
            self._stopwatch,
            self.lanes,
            self.choice,
            self._following.steered,
            self.hops,
            self.features,
            self.ledger,
        )
        self.observe = self._counts.observe
        waits = LaneWaits(
            self.lanes.by_family,
            {name: family.stage for name, family in self.families.items()},
            self._stopwatch.take_spent,
            self.clocks.monotonic,
        )
        replica.load.also(waits.look, waits.report)
        # What is stopped before the parts that it works on.
        self._working: list[BackgroundLoop] = []
        # What is stopped after the ledger, whose spool it notes.
        self._noting: list[BackgroundLoop] = []

    @classmethod
    async def opened(cls, handles: Handles) -> Self:
        """Open everything; where one part cannot be opened, close those that were."""
        replica = Replica("gateway")
        async with AsyncExitStack() as undo:
            undo.push_async_callback(replica.close)
            await replica.open()
            context = cls(replica, handles, await wire_secret(replica.redis))
            undo.push_async_callback(context._close_own)
            await context._start()
            undo.pop_all()
        return context

    async def close(self) -> None:
        """Answer what is in the lanes, write it down, and let go of everything."""
        await self._close_own()
        await self.replica.close()

    async def _start(self) -> None:
        self.hops.start()
        self.replica.before_snapshot(self._counts.write)
        loops = self.replica.loops
        self._working += [
            loops.start("tidy outcomes", self.outcomes.tidy, lambda: 1.0),
            loops.start("share rates", self.rate_shares.agree, lambda: 1.0, expected=REDIS_AWAY),
            loops.start(
                "refresh vectors",
                self.features.vectors.refresh,
                lambda: self._refresh_seconds() / 2,
                expected=REDIS_AWAY,
            ),
            loops.start(
                "learn definitions",
                self.features.refresh_definitions,
                self._refresh_seconds,
                expected=REDIS_AWAY,
            ),
        ]
        self._working += await self._following.start()
        watch_others(self.replica, self._drift)
        with suppress(*REDIS_AWAY):  # a definition that is held back is not answered by
            await self.features.refresh_definitions()
        await self.keys.start()
        # Serve sends requests once the constructor is done: not before they can be admitted.
        await self.keys.first(FIRST_CONFIG_SECONDS)
        await self.ledger.start()
        with suppress(*REDIS_AWAY):  # before the first decision, which may be spooled
            await self.spools.note()
        self._noting.append(
            loops.start(
                "note spools", self.spools.note, lambda: SPOOLS_SECONDS, expected=REDIS_AWAY
            )
        )

    async def _close_own(self) -> None:
        """Close all but the replica, whether it was started or not."""
        await self.lanes.drain()
        for loop in self._working:
            await self.replica.loops.stop(loop)
        await self.features.vectors.close()
        with suppress(*REDIS_AWAY):
            await self.rate_shares.leave()
        await self.outcomes.close()
        await self.hops.stop()
        await self.ledger.close()
        for loop in self._noting:
            await self.replica.loops.stop(loop)
        with suppress(*REDIS_AWAY):
            await self.spools.leave()
        await self.keys.stop()

    def up_to_date(self) -> bool:
        """Tell whether this gateway answers by all that holds now; else the front asks others."""
        return self._following.up_to_date()

    @property
    def degraded(self) -> bool:
        return bool(self.degraded_reasons())

    def degraded_reasons(self) -> list[str]:
        """Say what is not as it should be."""
        return degraded_reasons(
            self.replica, self.ledger, self._following.steered, self._drift, self.keys
        )

    def active(self) -> Version:
        """Give the version that rows are answered by while no rollout goes on."""
        version = self.choice.active()
        if version is None:
            raise UnavailableError("No configuration has been loaded yet: is Redis up?")
        return version

    def _refresh_seconds(self) -> float:
        version = self.choice.active()
        return (version.document.features if version else FeatureConfig()).refresh_seconds

    def _pipelines(self, ids: DecisionIds) -> dict[str, InferencePipeline]:
        return {
            name: InferencePipeline(
                family,
                Stages(self.hops.features, self.hops.models[name], self.hops.safety),
                self.ledger,
                ids,
                self.clocks,
                lambda: self.replica.config.stale,
                self.replica.in_emergency,
                self._stopwatch,
                self._freezes,
            )
            for name, family in self.families.items()
        }

    def _freezes(self) -> Sequence[Freeze]:
        state = self.replica.steering.value
        return () if state is None else state.freezes

    def _count_refusal(self, quota: str) -> None:
        self.replica.metrics.quota_refusals.labels(quota).inc()

    def _configure(self) -> None:
        """Take over the limits of the version that rows are answered by, where it is another."""
        version = self.choice.active()
        if version is None or version.config_hash == self._configured:
            return
        self._configured = version.config_hash
        self.rates.configure(version.document.quotas)
        self.lanes.configure(version)
        self.remote_writes.configure(version.document.sources)


def _noted(_: KeyRing) -> None:
    """Do nothing: admission reads the ring from the watch itself."""
