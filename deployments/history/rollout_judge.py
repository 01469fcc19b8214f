"""Brings a rollout on its way by the evidence: judges, advances, waits, and never past its end.

It lives beside the archive, for its evidence is the ledger's, and only the history actor may open
that: one for the platform, restarted when it dies, and the first to have an entry. While it is away
nobody judges, the verdict stays unknown, and the gateways end what is past its deadline.

A good verdict goes on, a bad one ends the rollout; both leave a certificate. Unknown waits: the
deadline is put off as long as the rollout's end allows, and then the step ends without a verdict.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from access.keys import Role
from config_store.certificates.certificate import FIRST, Certificate, Look
from config_store.certificates.progress import Point, StepProgress
from config_store.certificates.store import CertificateStore
from config_store.certificates.without_rows import ArmCounted, Counted, concluded, held_back
from config_store.errors import (
    HeldBackError,
    NoActiveVersionError,
    OvertakenError,
    RefusedChangeError,
    TooEarlyError,
)
from config_store.running import Running, RunningVersions
from config_store.steering.changes import Changed
from config_store.steering.commands import Actor, Advance, Command, Judge, Wait
from config_store.steering.rollouts.steps import JUDGED, needs_evidence
from config_store.steering.rollouts.unanswered import StepOf, Unanswered
from config_store.steering.state import Rollout, Strategy, Verdict, VersionLife
from config_store.steering.store import SteeringStore
from deployments.history.look_times import SETTLING_SECONDS
from deployments.history.step_evidence import Archived, StepEvidence, plan_of
from deployments.stages import STAGES

log = logging.getLogger(__name__)

# The replicas by which a version is answered.
ROLES = frozenset({"gateway", *STAGES})
MOST_NAMED = 5
JUDGE = Actor("the rollout's judge", Role.OPERATOR)
# A step that ends before there can be two more looks gets more time.
SOON_SECONDS = 150.0
# One that gets no more, and ends before there can be another look, gets its certificate.
LAST_LOOK_SECONDS = 65.0


async def living_replicas(running: RunningVersions) -> list[Running]:
    """Give those that answer: each says every second what it goes by, and one that died no more.

    One that was stopped for so long and comes back looks before it answers.
    """
    return [each for each in await running.all() if each.role in ROLES and not each.silent]


async def roles_without(running: RunningVersions) -> list[str]:
    """Name the roles in which nobody answers."""
    return sorted(ROLES - {each.role for each in await living_replicas(running)})


class RolloutJudge:
    """`step` is called every few seconds; what is known of a step survives a restart in Redis."""

    def __init__(self, redis: Redis, archive: Archived, wall: Callable[[], float]) -> None:
        self._archive = archive
        self._wall = wall
        self._steering = SteeringStore(redis)
        self._certificates = CertificateStore(redis)
        self._unanswered = Unanswered(redis)
        self._running = RunningVersions(redis)
        self._progress = StepProgress(redis)
        self._evidence: StepEvidence | None = None
        # The look that a certificate was written of last, for a step that ends without a verdict.
        self._certified: Look | None = None

    async def step(self) -> None:
        try:
            state = await self._steering.read()
        except NoActiveVersionError:
            return
        rollout, now = state.rollout, self._wall()
        if rollout is None or not rollout.step_begun <= now < rollout.step_deadline:
            return
        try:
            await self._bring_on(rollout, state.versions[rollout.candidate], now)
        except (OvertakenError, HeldBackError, TooEarlyError):
            return  # the state goes on without this, or with it later
        except RefusedChangeError as refusal:
            await self._tell_refused(rollout, str(refusal))

    async def _bring_on(self, rollout: Rollout, life: VersionLife, now: float) -> None:
        if rollout.strategy is Strategy.BLUE_GREEN:
            await self._switch_when_loaded(rollout, life)
        elif rollout.strategy not in JUDGED or not rollout.settings.evidence:
            # An operator advances it, who is to know whether it can be answered by.
            await self._note(rollout, await self._lacking(life))
        elif needs_evidence(rollout):
            await self._judge(rollout, now)
        elif now >= rollout.step_begun + SETTLING_SECONDS:
            # All keys see the candidate: there is nobody left to compare it with.
            await self._command(Advance(rollout.id, rollout.step))

    async def _tell_refused(self, rollout: Rollout, why: str) -> None:
        """Note why a step does not go on, whatever its verdict: people have to do something.

        By the time of the step's begin, since what is wrong may be this process's clock.
        """
        latest = (await self._steering.read()).rollout
        if latest is None or latest.note == why:
            return
        log.error("The rollout %s does not go on: %s", rollout.id, why)
        said = Judge(rollout.id, rollout.step, latest.verdict, why)
        with suppress(OvertakenError, TooEarlyError):
            await self._steering.change(said, JUDGE, latest.step_begun)

    async def _switch_when_loaded(self, rollout: Rollout, life: VersionLife) -> None:
        """Go over at once, as soon as every replica that lives can answer by the candidate."""
        if why := await self._lacking(life):
            await self._note(rollout, why)
        else:
            await self._command(Advance(rollout.id, rollout.step))

    async def _lacking(self, life: VersionLife) -> str:
        """Say who cannot answer by this version; empty where each role can, by all that live.

        A role in which nobody lives cannot either: it may be the candidate that ends its replicas.
        """
        living = await living_replicas(self._running)
        said = {each.replica: each.why_not_loaded(life.content_hash) for each in living}
        missing = {replica: why for replica, why in said.items() if why != ""}
        absent = sorted(ROLES - {each.role for each in living})
        if not missing and not absent:
            return ""
        return f"not loaded yet by {_named(missing, absent if living else [])}"

    async def _judge(self, rollout: Rollout, now: float) -> None:
        evidence = await self._of(rollout)
        if evidence is None:
            return
        if evidence.due(now):
            look, point = await asyncio.to_thread(_looked, evidence, self._archive, now)
            await self._keep(evidence, point)
            verdict = await self._say(rollout, evidence, look)
            rollout = rollout.model_copy(update={"verdict": verdict})
        if rollout.verdict is Verdict.GOOD:
            await self._go_on(rollout, evidence, now)
        elif rollout.verdict is Verdict.UNKNOWN:
            await self._wait(rollout, evidence, now)

    async def _keep(self, evidence: StepEvidence, point: Point) -> None:
        """Keep what a restarted judge goes on from; where Redis takes none it goes on from less."""
        try:
            await self._progress.keep(orjson.dumps(evidence.to_json()), point)
        except ResponseError as refusal:
            log.warning(
                "Look %d at step %d of the rollout %s cannot be kept: %s. It is judged by all the "
                "same, and a bad verdict ends the rollout",
                point.number,
                point.step,
                point.rollout,
                refusal,
            )

    async def _go_on(self, rollout: Rollout, evidence: StepEvidence, now: float) -> None:
        """Advance, unless rows were lost since the verdict: it may have waited for a freeze."""
        if why := held_back(evidence.plan, await self._counted(rollout)):
            await self._note(rollout, why)
            return
        try:
            await self._command(Advance(rollout.id, rollout.step))
        except HeldBackError:  # in a freeze it waits as one does without a verdict
            await self._wait(rollout, evidence, now)

    async def _of(self, rollout: Rollout) -> StepEvidence | None:
        """Give the evidence of this step: as it is here, as it was kept, or from its begin."""
        if self._evidence is None:
            self._evidence = await self._kept()
        try:
            plan = plan_of(rollout)
            if self._evidence is None or self._evidence.plan != plan:
                self._evidence = StepEvidence.begin(plan)
        except ValueError as untested:
            await self._note(rollout, str(untested))
            return None
        return self._evidence

    async def _kept(self) -> StepEvidence | None:
        """Read what was kept; where another release wrote it, the archive has all of it anyway."""
        kept = await self._progress.examination()
        try:
            return None if kept is None else StepEvidence.from_json(orjson.loads(kept))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning(
                "What was kept of a step's evidence cannot be read (%s): the step is judged by "
                "the archive from its begin on",
                error,
            )
            return None

    async def _say(self, rollout: Rollout, evidence: StepEvidence, look: Look) -> Verdict:
        """Put the verdict of a look into the rollout, where it is another than before."""
        counted = await self._counted(rollout)
        verdict, reason = concluded(evidence.plan, look.verdict, look.reason, counted)
        if verdict is Verdict.UNKNOWN:
            await self._note(rollout, reason)
        elif verdict is not rollout.verdict:
            await self._certify(rollout, evidence, look, counted)
        return Verdict(verdict)

    async def _counted(self, rollout: Rollout) -> Counted:
        """Read how many rows of the step the ledger has not, as the gateways counted them."""
        incumbent, candidate = [
            await self._unanswered.read(StepOf(rollout.id, rollout.step, version))
            for version in (rollout.incumbent, rollout.candidate)
        ]
        return Counted(
            incumbent=ArmCounted(**incumbent._asdict()),
            candidate=ArmCounted(**candidate._asdict()),
        )

    async def _note(self, rollout: Rollout, note: str) -> None:
        if note != rollout.note:
            await self._command(Judge(rollout.id, rollout.step, Verdict.UNKNOWN, note))

    async def _certify(
        self, rollout: Rollout, evidence: StepEvidence, look: Look, counted: Counted
    ) -> None:
        """Keep the certificate before anybody goes by its verdict."""
        before = rollout.certificates[-1] if rollout.certificates else FIRST
        certificate = evidence.certificate(before, counted)
        name = await self._kept_as(certificate, rollout)
        verdict, reason = Verdict(certificate.verdict), certificate.reason
        said = Judge(rollout.id, rollout.step, verdict, reason, name)
        state = (await self._command(said)).state
        self._certified = look
        log.info(
            "Step %d of the rollout %s is judged %s: %s (certificate %s)",
            rollout.step,
            rollout.id,
            verdict,
            reason,
            name or "not kept",
        )
        if name:
            await self._certificates.let_go(
                each for each in (state.rollout, state.last_rollout) if each is not None
            )

    async def _kept_as(self, certificate: Certificate, rollout: Rollout) -> str:
        """Keep a certificate, and give its name; none where a bad verdict goes on without it."""
        is_bad = Verdict(certificate.verdict) is Verdict.BAD
        try:
            await self._certificates.keep(certificate, rollout.certificates, despite_full=is_bad)
        except ResponseError as refusal:
            if not is_bad:
                raise
            log.warning(
                "The certificate of a bad verdict on the rollout %s cannot be kept: %s. The "
                "rollout ends all the same, and is told of without it",
                rollout.id,
                refusal,
            )
            return ""
        return certificate.hash

    async def _wait(self, rollout: Rollout, evidence: StepEvidence, now: float) -> None:
        """Put off a deadline that is near; at the rollout's end leave what is known by then."""
        left = rollout.step_deadline - now
        if left > SOON_SECONDS:
            return
        until = min(rollout.step_deadline + rollout.settings.step_seconds, rollout.ends)
        look, counted = evidence.latest, await self._counted(rollout)
        is_unknown = rollout.verdict is Verdict.UNKNOWN
        if until > rollout.step_deadline:
            why = "nobody has answered yet"
            if look is not None:
                _, why = concluded(evidence.plan, look.verdict, look.reason, counted)
            what = "no verdict yet" if is_unknown else "a freeze holds"
            await self._command(Wait(rollout.id, rollout.step, until, f"{what}: {why}"))
        elif left > LAST_LOOK_SECONDS or look is None or look is self._certified:
            return
        elif is_unknown:
            await self._certify(rollout, evidence, look, counted)

    async def _command(self, command: Command) -> Changed:
        return await self._steering.change(command, JUDGE, self._wall())


def _named(why: Mapping[str, str | None], absent: list[str]) -> str:
    """Name the first of these, and why where that is known: those that know come first."""
    first = sorted(why, key=lambda each: (why[each] is None, each))
    named = [each if why[each] is None else f"{each} ({why[each]})" for each in first]
    named += [f"any replica of {role}" for role in absent]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return f"{', '.join(named[:MOST_NAMED]) or 'any replica'}{more}"


def _looked(evidence: StepEvidence, archive: Archived, now: float) -> tuple[Look, Point]:
    return evidence.look(archive, now), evidence.point()
