"""The safety deployment: judges every batch by its version's policy before anything leaves.

After the policy come the people: emergency mode, in which every family answers its fallback, and
overrides, which put a value in the place of an answer's field.
"""

from contextlib import suppress
from typing import NamedTuple

from config_store.steering.state import Emergency, SteeringState
from config_store.store import Version
from deployments.runtime.batch import Batch, Judgement
from deployments.runtime.replica import Replica
from deployments.runtime.stage import Stage
from deployments.runtime.transport.frame import Frame
from deployments.safety.emergencies import Emergencies
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
        self._emergencies = Emergencies(replica.redis, replica.clocks, self._state)
        self._interventions = Interventions(
            self._state, asked_to_be_off=not replica.settings.enable_safety_checks
        )
        replica.before_snapshot(self._count)

    async def answer(self, frame: Frame, compiled: CompiledPolicy) -> Frame:
        batch = Batch.from_frame(frame)
        return self.judge(batch, compiled.judges[batch.family]).to_frame()

    def judge(self, batch: Batch, judge: Judge) -> Judgement:
        now = self._clocks.wall()
        is_on = batch.emergency or self._emergencies.now() is not None
        # What an emergency's models say is nothing to fall back to later, nor what no client saw.
        memory = None if is_on or batch.beside else self._memories.of(batch.family, judge)
        if self._interventions.are_checks_off(batch.family, now):
            judged = judge.pass_on(batch, memory, now)
        else:
            judged = judge.judge(batch, memory, now)
        if not batch.beside:
            self._emergencies.count(batch, judged)
        emergency = self._emergencies.now()  # this very batch may have begun it
        if is_on or emergency is not None:
            judge.replace(judged, batch, why_of(emergency))
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
        self._emergencies.configure(compiled.emergency)

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


def why_of(emergency: Emergency | None) -> str:
    """Say in an answer why its family's fallback is in it; the gateway may know what we do not."""
    why = "" if emergency is None else f" ({emergency.reason})"
    return f"Emergency mode is on{why}: every family answers its fallback"
