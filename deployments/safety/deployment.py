"""The safety deployment: judges every batch by its version's policy before anything leaves.

After the policy come the people: emergency mode, in which every family answers its fallback, and
overrides, which put a value in the place of an answer's field.
"""

from contextlib import suppress
from itertools import chain
from typing import NamedTuple

from config_store.steering.state import SteeringState
from config_store.store import Version
from deployments.runtime.batch import Batch, Judgement
from deployments.runtime.replica import Replica
from deployments.runtime.stage import Stage
from deployments.runtime.transport.frame import Frame
from deployments.safety.emergencies import SOMEWHERE, Emergencies
from deployments.safety.interventions import Interventions
from deployments.safety.judge import Judge
from deployments.safety.memories import Memories
from observability.background import BackgroundLoop
from safety.emergency import EmergencyRules
from settings.redis_connection import REDIS_AWAY

EVERY_SECONDS = 1.0


class CompiledPolicy(NamedTuple):
    judges: dict[str, Judge]
    emergency: EmergencyRules


class Safety(Stage[CompiledPolicy]):
    def __init__(self, replica: Replica) -> None:
        super().__init__(replica)
        self._clocks = replica.clocks
        self._memories = Memories(replica.redis)
        self._emergencies = Emergencies(replica.redis, replica.clocks, replica.steering)
        self._interventions = Interventions(
            self._state, asked_to_be_off=not replica.settings.enable_safety_checks
        )
        replica.before_snapshot(self._count)

    async def answer(self, frame: Frame, compiled: CompiledPolicy) -> Frame:
        if (steering := self.replica.steering).was_stopped:
            await steering.looked()  # else by emergency mode and overrides of before
        batch = Batch.from_frame(frame)
        return self.judge(batch, compiled.judges[batch.family]).to_frame()

    def judge(self, batch: Batch, judge: Judge) -> Judgement:
        now = self._clocks.wall()
        why = SOMEWHERE if batch.emergency else self._emergencies.why(batch.version)
        # What an emergency's models say is nothing to fall back to later, nor what no client saw.
        memory = None if why or batch.is_shadow else self._memories.of(batch.family, judge)
        if self._interventions.are_checks_off(batch.family, now):
            judged = judge.pass_on(batch, memory, now)
        else:
            judged = judge.judge(batch, memory, now)
        if not batch.is_shadow:
            self._emergencies.count(batch, judged)
        # This very batch may have begun it.
        if why := self._emergencies.why(batch.version) or why:
            judge.replace(judged, batch, why)
        self._interventions.override(judged, batch, judge, now)
        return judged

    def compile(self, version: Version) -> CompiledPolicy:
        safety = version.document.safety
        judges = {family: Judge.of(policy) for family, policy in safety.families.items()}
        return CompiledPolicy(judges, safety.emergency)

    def configure(self, version: Version) -> None:
        super().configure(version)
        compiled = self.versions.active.compiled
        self._memories.prepare(compiled.judges.items())
        alive = (each.compiled.judges.items() for each in self.versions.alive())
        self._memories.keep(chain.from_iterable(alive))
        self._emergencies.configure(compiled.emergency)

    async def make_ready(self, compiled: CompiledPolicy) -> None:
        """Have a candidate remember from its first answer on, whatever its policy remembers."""
        self._memories.prepare(compiled.judges.items())

    def start_work(self) -> list[BackgroundLoop]:
        loops = self.replica.loops
        return [
            loops.start(
                "hold emergency rules",
                self._emergencies.step,
                lambda: EVERY_SECONDS,
                expected=REDIS_AWAY,
                wake=self._emergencies.wake,
            ),
            loops.start(
                "share last safe answers",
                self._memories.share,
                lambda: EVERY_SECONDS,
                expected=REDIS_AWAY,
            ),
        ]

    async def close(self) -> None:
        with suppress(*REDIS_AWAY):
            await self._emergencies.leave()

    def _state(self) -> SteeringState | None:
        return self.replica.steering.value

    def _count(self) -> None:
        """Say what a rule began that Redis does not know of yet."""
        if self._emergencies.now() is not None:
            self.replica.metrics.emergency_mode.set(True)
