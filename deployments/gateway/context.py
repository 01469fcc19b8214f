"""What the gateway's routes work with; opened with the replica, closed with it."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from access.key_store import KeyStore
from access.keys import KeyRing
from access.wire_secret import wire_secret
from config_store.store import ConfigStore, Version
from config_store.watch import RedisWatch
from deployments.api.endpoint import InferenceEndpoint
from deployments.api.errors import UnavailableError
from deployments.api.shipped import FAMILIES
from deployments.gateway.admission import Admission
from deployments.gateway.answers import Answered, Ask
from deployments.gateway.asking import KeyDesk
from deployments.gateway.desk import Desk
from deployments.gateway.documentation.sessions import Sessions
from deployments.gateway.listeners import Listeners
from deployments.gateway.lookups import DecisionLookups
from deployments.gateway.pipeline import InferencePipeline, Stages
from deployments.gateway.rate_limits import RateLimits
from deployments.gateway.rate_shares import RateShares
from deployments.gateway.timings import Stopwatch
from deployments.runtime.coverage.outcomes import Outcomes
from deployments.runtime.hop import AnyReplica, Hop, ModelHop
from deployments.runtime.replica import FIRST_CONFIG_SECONDS, Replica
from deployments.runtime.state.routing import ByKey
from deployments.runtime.transport.base import Transport
from deployments.runtime.transport.handle import Handle
from deployments.runtime.transport.replica_directory import DirectoryWatch, ReplicaDirectory
from deployments.runtime.transport.serve_handle import HandleTransport
from deployments.runtime.transport.tcp.exchange import Exchange
from deployments.runtime.transport.tcp.greeting import stage_secret
from deployments.runtime.transport.tcp.tls import Certificates
from observability.ledger.decision import DecisionIds, writer_name
from observability.ledger.lag import drain_lag_s
from observability.ledger.spools import Spools
from observability.ledger.writer import LedgerWriter
from observability.snapshots import Retirement
from settings.redis_connection import REDIS_AWAY

LAG_SECONDS = 1.0
SPOOLS_SECONDS = 1.0
RETIRE_SECONDS = 10.0

__all__ = ["Answered", "Ask", "GatewayContext", "Handles"]


@dataclass(frozen=True, slots=True)
class Handles:
    """The deployments behind the gateway, each as a handle of Serve's or as its like."""

    features: Handle
    safety: Handle
    models: dict[str, Handle]


class GatewayContext:
    """One gateway replica's desk, ledger pen, key ring and configuration."""

    def __init__(self, handles: Handles) -> None:
        self.replica = Replica("gateway", self._configure, self._count_answers)
        self._answered: dict[tuple[str, int], list[float]] = {}
        self._stopwatch = Stopwatch(self.replica.metrics)
        self.settings = self.replica.settings
        self.clocks = self.replica.clocks
        self.families: dict[str, InferenceEndpoint] = {
            name: family for name, family in FAMILIES.items() if family.stage in handles.models
        }
        stored = KeyStore(self.replica.redis)
        self.keys: RedisWatch[KeyRing] = RedisWatch(
            self.replica.redis, stored.channel, stored.ring, _noted, loops=self.replica.loops
        )
        self.configs = ConfigStore(self.replica.redis)
        self.ledger = LedgerWriter(
            self.replica.redis,
            writer=writer_name("gateway", os.urandom),
            spool_dir=Path(self.settings.paths.spool),
            clock=self.clocks.wall,
            loops=self.replica.loops,
        )
        self.rates = RateLimits(self.clocks.monotonic, self._count_refusal)
        self.rate_shares = RateShares(self.replica.redis, self.rates, self.clocks.wall)
        self.admission = Admission(lambda: self.keys.value, self.rates)
        self.listeners = Listeners()
        self.spools = Spools(self.replica.redis, Path(self.settings.paths.spool), self.clocks.wall)
        self.lookups = DecisionLookups(self.clocks.monotonic, why_waiting=self.spools.why_waiting)
        self.outcomes = Outcomes(self.replica.redis, self.clocks.monotonic)
        self._directory = DirectoryWatch(
            ReplicaDirectory(self.replica.redis, self.clocks.monotonic), self.replica.loops
        )
        certificates = Certificates.of(self.settings)
        self._tls = certificates.for_gateway() if certificates else None
        self._handles = handles
        self._transports: list[Transport] = []

    async def open(self) -> None:
        await self.replica.open()
        secret = await wire_secret(self.replica.redis)
        if not self.settings.plain:
            self._directory.start()
        self.desk = Desk(self._pipelines(secret), lambda: self.replica.config.value, self.clocks)
        self.sessions = Sessions(secret, lambda: self.keys.value, self.clocks.wall)
        loops = self.replica.loops
        self._tidying = loops.start("tidy outcomes", self.outcomes.tidy, lambda: 1.0)
        self._sharing = loops.start("share rates", self._share_rates, lambda: 1.0)
        self._start_watching_others()
        await self.keys.start()
        # Serve sends requests once the constructor is done: not before they can be admitted.
        await self.keys.first(FIRST_CONFIG_SECONDS)
        await self.ledger.start()
        with suppress(*REDIS_AWAY):  # before the first decision, which may be spooled
            await self.spools.note()
        self._noting = self.replica.loops.start(
            "note spools", self.spools.note, lambda: SPOOLS_SECONDS, expected=REDIS_AWAY
        )
        # Not what it opened with: a newer version may have come, and its notice comes once.
        self._configure(await self.replica.config.first(FIRST_CONFIG_SECONDS))

    async def close(self) -> None:
        """Answer what is in the lanes, write it down, and let go of everything."""
        await self.desk.drain()
        await self.replica.loops.stop(self._tidying, self._sharing)
        with suppress(*REDIS_AWAY):
            await self.rate_shares.leave()
        await self.outcomes.close()
        await self._directory.stop()
        for transport in self._transports:
            await transport.stop()
        await self.ledger.close()
        await self.replica.loops.stop(self._noting)
        with suppress(*REDIS_AWAY):
            await self.spools.leave()
        await self.keys.stop()
        await self.replica.close()

    def _start_watching_others(self) -> None:
        """Begin to measure what must be seen also while those who would measure it are dead."""
        loops, retirement = (
            self.replica.loops,
            Retirement(self.replica.redis, self.clocks.monotonic),
        )
        loops.start("ledger lag", self._measure_lag, lambda: LAG_SECONDS, expected=REDIS_AWAY)
        loops.start(
            "retire dead replicas", retirement.step, lambda: RETIRE_SECONDS, expected=REDIS_AWAY
        )

    async def _measure_lag(self) -> None:
        lag = await drain_lag_s(self.replica.redis)
        self.replica.metrics.ledger_drain_lag_seconds.set(lag)

    @property
    def degraded(self) -> bool:
        return bool(self.degraded_reasons())

    def degraded_reasons(self) -> list[str]:
        """Say what is not as it should be."""
        found = []
        if self.replica.config.stale:
            found.append("The configuration may be behind: Redis is away, or it cannot be read")
        if self.ledger.degraded:
            found.append("Redis is away, and decisions go to the spool")
        return found + self.replica.storage.reasons()

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Note an answer; counting by the second costs a fraction of counting each."""
        self._answered.setdefault((endpoint, status), []).append(seconds)

    def _count_answers(self) -> None:
        self._stopwatch.write()
        noted, self._answered = self._answered, {}
        for (endpoint, status), seconds in noted.items():
            self.replica.metrics.answered(endpoint, status, seconds)
        lanes = self.desk.lanes if hasattr(self, "desk") else {}  # none until it is open
        for family, lane in lanes.items():
            self.replica.metrics.lane_waiting_rows.labels(family).set(lane.waiting_rows)
            refused, lane.refused_rows = lane.refused_rows, 0
            self.replica.metrics.lane_refused_rows.labels(family).inc(refused)
        self.replica.metrics.ledger_degraded.set(self.ledger.degraded)
        self.replica.metrics.ledger_spool_entries.set(self.ledger.spooled_entries)

    def active(self) -> Version:
        version = self.replica.config.value
        if version is None:
            raise UnavailableError("No configuration has been loaded yet: is Redis up?")
        return version

    def _transport(self, stage: str, handle: Handle, secret: bytes) -> Transport:
        transport: Transport
        if self.settings.plain:
            transport = HandleTransport(handle)
        else:
            listing = self._directory.listing(stage)
            own = stage_secret(secret, stage)
            transport = Exchange(stage, handle, own, self.replica.loops, listing, self._tls)
        transport.start()
        self._transports.append(transport)
        return transport

    def _hop(self, stage: str, handle: Handle, secret: bytes) -> Hop:
        return Hop(stage, self._transport(stage, handle, secret), self.clocks.monotonic)

    def _model_hop(self, family: InferenceEndpoint, transport: Transport) -> ModelHop:
        if family.key is None:
            return AnyReplica(Hop(family.stage, transport, self.clocks.monotonic))
        clock, falls_back = self.clocks.monotonic, family.falls_back
        return ByKey(family.stage, transport, clock, falls_back=falls_back)

    def _pipelines(self, secret: bytes) -> dict[str, InferencePipeline]:
        features = self._hop("features", self._handles.features, secret)
        safety = self._hop("safety", self._handles.safety, secret)
        models = {
            stage: self._transport(stage, handle, secret)
            for stage, handle in self._handles.models.items()
        }
        hops = {
            name: self._model_hop(family, models[family.stage])
            for name, family in self.families.items()
        }
        ids = DecisionIds(self.clocks.wall, os.urandom)
        self.keyed = KeyDesk(hops, ids, self.active)
        return {
            name: InferencePipeline(
                family,
                Stages(features, hops[name], safety),
                self.ledger,
                ids,
                self.clocks,
                lambda: self.replica.config.stale,
                self._stopwatch,
            )
            for name, family in self.families.items()
        }

    async def _share_rates(self) -> None:
        # While Redis is away the shares stay as they are.
        with suppress(*REDIS_AWAY):
            await self.rate_shares.agree()

    def _count_refusal(self, quota: str) -> None:
        self.replica.metrics.quota_refusals.labels(quota).inc()

    def _configure(self, version: Version) -> None:
        self.rates.configure(version.document.quotas)
        if hasattr(self, "desk"):
            self.desk.configure(version)


def _noted(_: KeyRing) -> None:
    """Do nothing: admission reads the ring from the watch itself."""
