"""What the gateway's routes work with; opened with the replica, closed with it."""

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Self

from access.key_store import KeyStore
from access.keys import KeyRing, Role
from access.wire_secret import wire_secret
from config_store.document import FeatureConfig
from config_store.repair import Repair
from config_store.steering.commands import Actor, Expire
from config_store.steering.state import Freeze
from config_store.steering.store import SteeringStore
from config_store.steering.unanswered import Unanswered
from config_store.steering.watch import UP_TO_DATE_SECONDS
from config_store.store import ConfigStore, Version
from config_store.watch import RedisWatch
from deployments.api.endpoint import InferenceEndpoint
from deployments.api.errors import UnavailableError
from deployments.api.shipped import FAMILIES
from deployments.gateway.admission import Admission
from deployments.gateway.body_room import BodyRoom
from deployments.gateway.choice import SteeredChoice, VersionChoice
from deployments.gateway.config_changes import ConfigChanges
from deployments.gateway.documentation.sessions import Sessions
from deployments.gateway.drift import Drift
from deployments.gateway.feature_reader import FeatureReader
from deployments.gateway.hops import Handles, Hops
from deployments.gateway.lanes import Lanes
from deployments.gateway.listeners import Listeners
from deployments.gateway.lookups import DecisionLookups
from deployments.gateway.pipeline import InferencePipeline, Stages
from deployments.gateway.policy_checks import PolicyChecks
from deployments.gateway.rate_limits import RateLimits
from deployments.gateway.rate_shares import RateShares
from deployments.gateway.remote_write import RemoteWrites
from deployments.gateway.state_client import StateClient
from deployments.gateway.timings import Stopwatch
from deployments.gateway.vectors_path import VectorsQuestions
from deployments.runtime.coverage.outcomes import OutcomeRecorder
from deployments.runtime.replica import FIRST_CONFIG_SECONDS, Replica
from features.telemetry.intake import Intake
from observability.background import BackgroundLoop
from observability.ledger.decision import DecisionIds, writer_name
from observability.ledger.lag import drain_lag_s
from observability.ledger.spools import Spools
from observability.ledger.writer import LedgerWriter
from observability.snapshots import Retirement
from settings.redis_connection import REDIS_AWAY

LAG_SECONDS = 1.0
DRIFT_SECONDS = 5.0
SPOOLS_SECONDS = 1.0
RETIRE_SECONDS = 10.0
# How soon a document is asked for again that could not be read.
STEERED_SECONDS = 1.0
GATEWAY = Actor("a gateway", Role.OPERATOR)
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
        self._answered: dict[tuple[str, int], list[float]] = {}
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
            replica.redis, self.settings.paths.models, self.clocks.wall, self.policy_checks
        )
        self.repair = Repair(replica.redis)
        self._drift = Drift(
            self.repair, self.changes.running, self.changes.steering, self.active, replica.metrics
        )
        self.ledger = LedgerWriter(
            replica.redis,
            writer=writer_name("gateway", os.urandom),
            spool_dir=Path(self.settings.paths.spool),
            clock=self.clocks.wall,
            loops=replica.loops,
        )
        self.rates = RateLimits(self.clocks.monotonic, self._count_refusal)
        self.rate_shares = RateShares(replica.redis, self.rates, self.clocks.wall)
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
        self._steering = SteeringStore(replica.redis)
        self._unanswered = Unanswered(replica.redis)
        self._steered = SteeredChoice(self.choice, self.configs.get)
        replica.goes_by = self.choice.active
        self.lanes = Lanes(self._pipelines(ids), self.choice, self.clocks)
        self.remote_writes = RemoteWrites(replica.redis, self.lanes.turns)
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
        self.replica.before_snapshot(self._count_answers)
        loops = self.replica.loops
        self._working += [
            loops.start("tidy outcomes", self.outcomes.tidy, lambda: 1.0),
            loops.start("share rates", self._share_rates, lambda: 1.0),
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
        await self._start_choosing()
        self._start_watching_others()
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
        self.replica.follow(self._configure)

    async def _start_choosing(self) -> None:
        """Know the documents that the steering state names before the first request."""
        self.replica.follow(self._steered.keep)
        self.replica.follow_steering(self._steered.follow)
        with suppress(*REDIS_AWAY):
            await self._steered.step()
        loops, pause = self.replica.loops, lambda: STEERED_SECONDS
        wake = self._steered.wake
        self._working += [
            loops.start(
                "read steered versions",
                self._steered.step,
                pause,
                expected=REDIS_AWAY,
                wake=wake,
            ),
            loops.start("end overdue steps", self._end_overdue, pause, expected=REDIS_AWAY),
            loops.start("count the unanswered", self._tell_unanswered, pause, expected=REDIS_AWAY),
            loops.start("say what is loaded", self._say_loaded, pause, expected=REDIS_AWAY),
        ]

    async def _say_loaded(self) -> None:
        candidate = self.choice.candidate
        if candidate is not None:
            await self.replica.say_loaded(candidate.config_hash)

    async def _tell_unanswered(self) -> None:
        """Add up for the judge which rows no ledger has; what is not told is lost with Redis."""
        if counted := self.choice.take_counted():
            await self._unanswered.add(counted)

    async def _end_overdue(self) -> None:
        """End a rollout whose step is past its deadline: also where nobody is left who judges."""
        state, now = self.replica.steering.value, self.clocks.wall()
        rollout = None if state is None else state.rollout
        if rollout is not None and now >= rollout.step_deadline:
            await self._steering.change(Expire(), GATEWAY, now)

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

    def _start_watching_others(self) -> None:
        """Begin to measure what must be seen also while those who would measure it are dead."""
        loops, retirement = (
            self.replica.loops,
            Retirement(self.replica.redis, self.clocks.monotonic),
        )
        loops.start("ledger lag", self._measure_lag, lambda: LAG_SECONDS, expected=REDIS_AWAY)
        loops.start("look for drift", self._drift.look, lambda: DRIFT_SECONDS, expected=REDIS_AWAY)
        loops.start(
            "retire dead replicas", retirement.step, lambda: RETIRE_SECONDS, expected=REDIS_AWAY
        )

    async def _measure_lag(self) -> None:
        lag = await drain_lag_s(self.replica.redis)
        self.replica.metrics.ledger_drain_lag_seconds.set(lag)

    def up_to_date(self) -> bool:
        """Tell whether this gateway answers by all that holds now; else the front asks others."""
        return (
            self.replica.steering.up_to_date and self._steered.behind_seconds <= UP_TO_DATE_SECONDS
        )

    @property
    def degraded(self) -> bool:
        return bool(self.degraded_reasons())

    def degraded_reasons(self) -> list[str]:
        """Say what is not as it should be."""
        found = []
        if self.replica.config.stale:
            found.append(
                "The configuration may be out of date: Redis cannot be reached, or what it "
                "holds cannot be read"
            )
        if self.ledger.degraded:
            found.append("Redis cannot be reached, and decisions are written to the spool")
        if self.replica.steering.lags:
            found.append(
                f"The steering state has not been read for {self.replica.steering.age_seconds:.0f} "
                "s: this gateway goes by what it knew then, and the front asks others before it"
            )
        state = self.replica.steering.value
        if state is not None and (emergency := state.emergency) is not None:
            found.append(
                f"Emergency mode is on ({emergency.reason}): every family answers its fallback"
            )
        return found + self._drift.reasons() + self.replica.storage.reasons()

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Note an answer; counting by the second costs a fraction of counting each."""
        self._answered.setdefault((endpoint, status), []).append(seconds)

    def _count_answers(self) -> None:
        self._stopwatch.write()
        noted, self._answered = self._answered, {}
        for (endpoint, status), seconds in noted.items():
            self.replica.metrics.answered(endpoint, status, seconds)
        for family, lane in self.lanes.by_family.items():
            self.replica.metrics.lane_waiting_rows.labels(family).set(lane.waiting_rows)
            refused, lane.refused_rows = lane.refused_rows, 0
            self.replica.metrics.lane_refused_rows.labels(family).inc(refused)
        for (family, outcome), rows in self.lanes.shadows.take_counts().items():
            self.replica.metrics.shadow_rows.labels(family, outcome).inc(rows)
        if (active := self.choice.active()) is not None:
            for stage, transport in self.hops.transports.items():
                avoided = transport.avoided(active.config_hash)
                self.replica.metrics.replicas_avoided.labels(stage).set(avoided)
        hits, misses = self.features.vectors.take_counts()
        self.replica.metrics.cached(hits, misses)
        self.replica.metrics.ledger_degraded.set(self.ledger.degraded)
        self.replica.metrics.ledger_spool_entries.set(self.ledger.spooled_entries)

    def active(self) -> Version:
        version = self.replica.config.value
        if version is None:
            raise UnavailableError("No configuration has been loaded yet: is Redis up?")
        return version

    def _refresh_seconds(self) -> float:
        version = self.replica.config.value
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

    async def _share_rates(self) -> None:
        # While Redis is away the shares stay as they are.
        with suppress(*REDIS_AWAY):
            await self.rate_shares.agree()

    def _count_refusal(self, quota: str) -> None:
        self.replica.metrics.quota_refusals.labels(quota).inc()

    def _configure(self, version: Version) -> None:
        self.rates.configure(version.document.quotas)
        self.lanes.configure(version)
        self.remote_writes.configure(version.document.sources)


def _noted(_: KeyRing) -> None:
    """Do nothing: admission reads the ring from the watch itself."""
