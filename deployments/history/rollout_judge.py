"""Brings a rollout on its way by the evidence: judges, advances, waits, and never past its end.

It lives beside the archive, for its evidence is the ledger's, and only the history actor may open
that: one for the platform, restarted when it dies, and the first to have an entry. While it is away
nobody judges, the verdict stays unknown, and the gateways end what is past its deadline.

A good verdict goes on, a bad one ends the rollout; both leave a certificate. Unknown waits: the
deadline is put off as long as the rollout's end allows, and then the step ends without a verdict.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import orjson
from redis.asyncio import Redis

from access.keys import Role
from config_store.certificates.certificate import FIRST, Look
from config_store.certificates.progress import Point, StepProgress
from config_store.certificates.store import CertificateStore
from config_store.errors import NoActiveVersionError, RefusedChangeError
from config_store.steering.commands import Actor, Advance, Command, Judge, Wait
from config_store.steering.loaded import LoadedCandidates
from config_store.steering.rollouts import JUDGED, needs_evidence
from config_store.steering.state import Rollout, Strategy, Verdict, VersionLife
from config_store.steering.store import SteeringStore
from config_store.steering.unanswered import StepOf, Unanswered
from deployments.history.step_evidence import SETTLING_SECONDS, Archived, StepEvidence, plan_of
from deployments.stages import STAGES
from observability.snapshots import gather

log = logging.getLogger(__name__)

# The replicas by which a version is answered, as their names begin.
ROLES = tuple(f"{role}-" for role in ("gateway", *STAGES))
MOST_NAMED = 5
# So much larger may the share of rows without an answer be among the candidate's.
MOST_MORE_LOST = 0.001
JUDGE = Actor("the rollout's judge", Role.OPERATOR)
# A step that ends before there can be two more looks gets more time.
SOON_SECONDS = 150.0
# One that gets no more, and ends before there can be another look, gets its certificate.
LAST_LOOK_SECONDS = 65.0


async def living_replicas(redis: Redis) -> set[str]:
    """Name those that answer, and those that died within the last minute."""
    return {each for each in await gather(redis) if each.startswith(ROLES)}


class RolloutJudge:
    """`step` is called every few seconds; what is known of a step survives a restart in Redis."""

    def __init__(self, redis: Redis, archive: Archived, wall: Callable[[], float]) -> None:
        self._redis = redis
        self._archive = archive
        self._wall = wall
        self._steering = SteeringStore(redis)
        self._certificates = CertificateStore(redis)
        self._unanswered = Unanswered(redis)
        self._loaded = LoadedCandidates(redis)
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
        with suppress(RefusedChangeError):  # somebody else was quicker, or a freeze holds
            if rollout.strategy is Strategy.BLUE_GREEN:
                await self._switch_when_loaded(rollout, state.versions[rollout.candidate])
            elif rollout.strategy not in JUDGED or not rollout.settings.evidence:
                return  # an operator advances it
            elif needs_evidence(rollout):
                await self._judge(rollout, now)
            elif now >= rollout.step_begun + SETTLING_SECONDS:
                # All keys see the candidate: there is nobody left to compare it with.
                await self._command(Advance(rollout.id, rollout.step))

    async def _switch_when_loaded(self, rollout: Rollout, life: VersionLife) -> None:
        """Go over at once, as soon as every replica that lives can answer by the candidate."""
        living = await living_replicas(self._redis)
        missing = living - await self._loaded.replicas(life.content_hash)
        if living and not missing:
            await self._command(Advance(rollout.id, rollout.step))
        else:
            named = ", ".join(sorted(missing)[:MOST_NAMED])
            more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
            await self._note(rollout, f"not loaded yet by {named or 'any replica'}{more}")

    async def _judge(self, rollout: Rollout, now: float) -> None:
        evidence = await self._of(rollout)
        if evidence is None:
            return
        if evidence.due(now):
            look, point = await asyncio.to_thread(_looked, evidence, self._archive, now)
            await self._progress.keep(orjson.dumps(evidence.to_json()), point)
            verdict = await self._say(rollout, evidence, look)
            rollout = rollout.model_copy(update={"verdict": verdict})
        if rollout.verdict is Verdict.GOOD:
            await self._command(Advance(rollout.id, rollout.step))
        elif rollout.verdict is Verdict.UNKNOWN:
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
        verdict = Verdict(look.verdict)
        if verdict is Verdict.GOOD and (why := await self._lost(rollout)):
            # The ledger has no row of them, and what is missing is not known to be good.
            await self._note(rollout, why)
            return Verdict.UNKNOWN
        if verdict is Verdict.UNKNOWN:
            await self._note(rollout, look.reason)
        elif verdict is not rollout.verdict:
            await self._certify(rollout, evidence, look)
        return verdict

    async def _lost(self, rollout: Rollout) -> str:
        """Say why the candidate's unanswered rows hold it back; empty where they do not."""
        incumbent, candidate = [
            await self._unanswered.read(StepOf(rollout.id, rollout.step, version))
            for version in (rollout.incumbent, rollout.candidate)
        ]
        if candidate.share - incumbent.share <= MOST_MORE_LOST:
            return ""
        return (
            f"{candidate.lost} of {candidate.asked} rows of the candidate got no answer, and "
            f"{incumbent.lost} of {incumbent.asked} of the active version"
        )

    async def _note(self, rollout: Rollout, note: str) -> None:
        if note != rollout.note:
            await self._command(Judge(rollout.id, rollout.step, Verdict.UNKNOWN, note))

    async def _certify(self, rollout: Rollout, evidence: StepEvidence, look: Look) -> None:
        """Keep the certificate before anybody goes by its verdict."""
        before = rollout.certificates[-1] if rollout.certificates else FIRST
        certificate = evidence.certificate(before)
        await self._certificates.keep(certificate, rollout.certificates)
        verdict = Verdict(look.verdict)
        said = Judge(rollout.id, rollout.step, verdict, look.reason, certificate.hash)
        await self._command(said)
        self._certified = look
        log.info(
            "Step %d of the rollout %s is judged %s: %s (certificate %s)",
            rollout.step,
            rollout.id,
            verdict,
            look.reason,
            certificate.hash,
        )

    async def _wait(self, rollout: Rollout, evidence: StepEvidence, now: float) -> None:
        """Put off a deadline that is near; at the rollout's end leave what is known by then."""
        left = rollout.step_deadline - now
        if left > SOON_SECONDS:
            return
        until = min(rollout.step_deadline + rollout.settings.step_seconds, rollout.ends)
        look = evidence.latest
        if until > rollout.step_deadline:
            why = "nobody has answered yet" if look is None else look.reason
            await self._command(Wait(rollout.id, rollout.step, until, f"no verdict yet: {why}"))
        elif left <= LAST_LOOK_SECONDS and look is not None and look is not self._certified:
            await self._certify(rollout, evidence, look)

    async def _command(self, command: Command) -> None:
        await self._steering.change(command, JUDGE, self._wall())


def _looked(evidence: StepEvidence, archive: Archived, now: float) -> tuple[Look, Point]:
    return evidence.look(archive, now), evidence.point()
