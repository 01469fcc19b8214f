"""A rollout that is brought on its way by the ledger's entries in a real archive."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from config_store.certificates.certificate import Certificate, Look
from config_store.certificates.progress import Point, StepProgress
from config_store.certificates.recompute import Verified, follows, recompute
from config_store.certificates.store import CertificateStore
from config_store.shipped import default_document
from config_store.steering.commands import Abort, AddFreeze, Deploy
from config_store.steering.rollouts.margins import BOUNDS, Bounds
from config_store.steering.rollouts.unanswered import StepOf, Tally, Unanswered
from config_store.steering.settings import Margin, RolloutSettings
from config_store.steering.state import Outcome, Rollout, Stage, SteeringState, Strategy, Verdict
from config_store.steering.store import SteeringStore
from config_store.steering.times import MOST_AHEAD_SECONDS
from config_store.store import ConfigStore
from config_store.strays import Strays
from deployments.history.look_times import SETTLING_SECONDS
from deployments.history.rollout_judge import RolloutJudge
from deployments.history.step_evidence import STATEFUL, WITHOUT_INTERVAL
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.archive import Archive
from observability.ledger.entry import Entry
from observability.schema import create_tables
from observability.timeline.event import read_event
from observability.timeline.stream import TimelineStream
from settings.redis_names import redis_name
from tests.config_store.certificates.step import (
    CANDIDATE,
    INCUMBENT,
    NOW,
    STATED,
    Rows,
    Step,
    chain,
)
from tests.config_store.steering.people import ADA, CY, own_time
from tests.deploying import deployed, validated

BEGUN = NOW - SETTLING_SECONDS
SETTINGS = RolloutSettings(
    margins=tuple(Margin(**each._asdict()) for each in STATED),
    alpha=0.05,
    lead_seconds=0,
    step_seconds=600,
    rollout_seconds=1500,
)
Entries = Sequence[Entry]


class Court:
    """The judge, what it reads, and the time."""

    def __init__(self, redis: Redis, archive: Archive) -> None:
        self.archive = archive
        self.now = BEGUN
        self.steering = SteeringStore(redis)
        self._redis = redis
        self.restart()

    def restart(self) -> None:
        self.judge = RolloutJudge(self._redis, self.archive, lambda: self.now)

    async def begin(
        self,
        strategy: Strategy,
        settings: RolloutSettings = SETTINGS,
        at: float = BEGUN,
        shares: tuple[float, ...] | None = None,
    ) -> None:
        for _ in range(INCUMBENT):
            await deployed(self._redis, default_document(), now=NOW - 100)
        life = await validated(self._redis, default_document(), now=at)
        assert life.number == CANDIDATE
        if strategy is Strategy.CANARY:
            shares = (0.5, 1.0)
        deploy = Deploy(CANDIDATE, strategy, "r", INCUMBENT, shares=shares, settings=settings)
        await self.steering.change(deploy, CY, at)  # by less than usual, which takes an admin
        await self.count(Tally(1000, 1), Tally(1000, 1))

    async def count(self, incumbent: Tally, candidate: Tally) -> None:
        """Count rows of the first step as the gateways do."""
        step = StepOf("r", 0, INCUMBENT), StepOf("r", 0, CANDIDATE)
        await Unanswered(self._redis).add(dict(zip(step, (incumbent, candidate), strict=True)))

    async def at(self, seconds: float) -> SteeringState:
        """Let the judge look so long after the first request."""
        self.now = NOW + seconds
        await self.judge.step()
        return await self.steering.read()

    async def verified(self, rollout: Rollout | None, entries: Entries) -> list[Verdict]:
        """Verify all certificates of a rollout; give their verdicts."""
        assert rollout is not None
        found = await self.certificates(rollout)
        assert follows(found) is None
        for each in found:
            assert isinstance(recompute(each, entries), Verified)
        return [Verdict(each.verdict) for each in found]

    async def looks(self, rollout: Rollout | None) -> tuple[Look, ...]:
        assert rollout is not None
        (certificate,) = await self.certificates(rollout)
        return certificate.looks

    async def certificates(self, rollout: Rollout) -> list[Certificate]:
        store = CertificateStore(self._redis)
        assert await store.listed(rollout.id) == list(rollout.certificates)
        written = await store.load(rollout.certificates)
        return [Certificate.model_validate_json(each) for each in written]

    async def points(self, step: int = 0) -> list[Point]:
        return await StepProgress(self._redis).points("r", step, 0, 100)


@pytest.fixture
async def court(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Court]:
    # Changes have this test's time, which is not that of Redis.
    monkeypatch.setattr("config_store.steering.times.stamp", own_time)
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)
        yield Court(redis, Archive(store))


def of_two_gateways(decisions: Sequence[object]) -> list[Entry]:
    return [
        entry
        for at, name in enumerate(("gw-a", "gw-b"))
        for entry in chain(name, decisions[at::2])  # type: ignore[arg-type] # decisions
    ]


async def test_a_good_candidate_goes_on_step_by_step_and_becomes_active(court: Court) -> None:
    await court.begin(Strategy.CANARY)
    entries = of_two_gateways(Rows().canary(6000))
    court.archive.add(entries)
    assert (await court.at(1)).rollout.verdict is Verdict.UNKNOWN  # type: ignore[union-attr]
    state = await court.at(200)
    assert state.rollout is not None
    assert (state.rollout.step, state.active) == (1, INCUMBENT)
    assert await court.verified(state.rollout, entries) == [Verdict.GOOD]
    # Where all keys see it nobody is left to compare it with.
    state = await court.at(200 + SETTLING_SECONDS)
    assert (state.active, state.rollout) == (CANDIDATE, None)


async def test_a_bad_candidate_is_rolled_back_with_a_certificate(
    court: Court, redis: Redis
) -> None:
    await court.begin(Strategy.CANARY)
    entries = of_two_gateways(Rows().canary(2000, allowed=False))
    court.archive.add(entries)
    state = await court.at(200)
    assert (state.active, state.rollout) == (INCUMBENT, None)
    assert state.versions[CANDIDATE].stage is Stage.ROLLED_BACK
    assert await court.verified(state.last_rollout, entries) == [Verdict.BAD]
    # Nobody can rewrite a certificate unseen: its hash is on the timeline too.
    noted = [read_event(each.data) for each in await TimelineStream(redis).read(100)]
    (judged,) = [each for each in noted if each.kind == "rollout_judged"]
    assert state.last_rollout is not None
    assert judged.details["certificate"] == state.last_rollout.certificates[0]
    assert judged.details["verdict"] == "bad"
    assert await Strays(redis).find() == []
    # What led there can still be shown.
    (point,) = await court.points()
    margin = next(each.absolute for each in STATED if each.metric == "violation_rate")
    assert point.metrics["violation_rate"].lower >= margin  # type: ignore[operator] # it is known


async def test_a_bad_candidate_is_rolled_back_with_a_certificate_in_a_full_redis(
    court: Court, redis: Redis
) -> None:
    await court.begin(Strategy.CANARY)
    entries = of_two_gateways(Rows().canary(2000, allowed=False))
    court.archive.add(entries)
    await redis.config_set("maxmemory", 1)
    state = await court.at(200)
    assert (state.active, state.rollout) == (INCUMBENT, None)
    assert state.versions[CANDIDATE].stage is Stage.ROLLED_BACK
    assert await court.verified(state.last_rollout, entries) == [Verdict.BAD]
    noted = [read_event(each.data).kind for each in await TimelineStream(redis).read(100)]
    assert noted[-2:] == ["rollout_judged", "rollout_aborted"]


@pytest.mark.parametrize("part", ["", ":rollouts", ":order"])
async def test_a_bad_candidate_is_rolled_back_though_its_certificate_has_no_place(
    court: Court, redis: Redis, part: str
) -> None:
    await court.begin(Strategy.CANARY)
    court.archive.add(of_two_gateways(Rows().canary(2000, allowed=False)))
    await redis.sadd(f"ballast:certificates{part}", "something else")
    state = await court.at(200)
    assert (state.active, state.rollout) == (INCUMBENT, None)
    assert state.versions[CANDIDATE].stage is Stage.ROLLED_BACK
    assert state.last_rollout is not None
    assert state.last_rollout.certificates == ()


async def test_a_good_candidate_waits_until_a_full_redis_has_room(
    court: Court, redis: Redis
) -> None:
    await court.begin(Strategy.CANARY)
    entries = of_two_gateways(Rows().canary(6000))
    court.archive.add(entries)
    await redis.config_set("maxmemory", 1)
    with pytest.raises(ResponseError, match="maxmemory"):
        await court.at(200)
    await redis.config_set("maxmemory", 0)
    rollout = (await court.at(260)).rollout
    assert rollout is not None
    assert rollout.step == 1
    assert [each.number for each in await court.points()] == [1, 2]
    assert await court.verified(rollout, entries) == [Verdict.GOOD]


async def test_a_judge_whose_clock_is_ahead_waits_for_that_of_redis(
    court: Court, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = SETTINGS.model_copy(update={"lead_seconds": 5.0})
    await court.begin(Strategy.CANARY, settings, BEGUN - settings.lead_seconds)
    monkeypatch.setattr("config_store.steering.times.stamp", lambda _clock, now: now - 90)
    rollout = (await court.at(70)).rollout  # by Redis the step has not begun
    assert rollout is not None
    assert (rollout.step, rollout.note) == (0, "")
    assert "does not go on" not in caplog.text
    court.archive.add(of_two_gateways(Rows().canary(6000)))
    rollout = (await court.at(200)).rollout
    assert rollout is not None
    assert rollout.step == 1


async def test_a_verdict_lets_the_certificates_of_old_rollouts_go(
    court: Court, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config_store.certificates.store.MOST_ROLLOUTS", 1)
    old = Step.judged(paired=False).certificate.model_copy(update={"hash": "0" * 64})
    await CertificateStore(redis).keep(old.model_copy(update={"looks": old.looks[:1]}))
    await court.begin(Strategy.CANARY)
    entries = of_two_gateways(Rows().canary(2000, allowed=False))
    court.archive.add(entries)
    state = await court.at(200)
    assert await court.verified(state.last_rollout, entries) == [Verdict.BAD]
    assert await CertificateStore(redis).listed(old.plan.rollout) == []
    assert await redis.hlen(redis_name(redis, "certificates")) == 1


async def test_a_shadow_is_judged_by_its_pairs_and_then_becomes_active(court: Court) -> None:
    await court.begin(Strategy.SHADOW)
    entries = of_two_gateways(Rows().shadow(3000))
    court.archive.add(entries)
    state = await court.at(200)
    assert (state.active, state.rollout) == (CANDIDATE, None)
    assert await court.verified(state.last_rollout, entries) == [Verdict.GOOD]


async def test_a_restarted_judge_goes_on_where_it_was(court: Court) -> None:
    await court.begin(Strategy.CANARY)
    entries = of_two_gateways(Rows().canary(3000, allowed=True))
    first = [each for each in entries if each.header.seq <= 1]
    court.archive.add(first)
    assert (await court.at(100)).rollout.verdict is Verdict.UNKNOWN  # type: ignore[union-attr]
    court.restart()
    court.archive.add(entries)
    state = await court.at(400)
    assert state.rollout is not None
    looks = await court.looks(state.rollout)
    assert [len(look.spans) for look in looks] == [2, 2]
    assert [look.rows for look in looks] == [100, 3000]
    points = await court.points()
    assert [(each.number, each.at, each.rows) for each in points] == [
        (number, look.at, look.rows) for number, look in enumerate(looks, start=1)
    ]
    assert [each.metrics["p99_ms"].verdict for each in points] == ["unknown", "good"]
    assert await court.verified(state.rollout, entries) == [Verdict.GOOD]


async def test_what_another_release_kept_is_made_anew(court: Court, redis: Redis) -> None:
    await court.begin(Strategy.CANARY)
    entries = of_two_gateways(Rows().canary(3000, allowed=True))
    court.archive.add([each for each in entries if each.header.seq <= 1])
    await court.at(100)
    court.archive.add(entries)
    key = redis_name(redis, "config", "evidence")
    held: Any = await redis.get(key)
    kept = orjson.loads(held)
    for metric in kept["examination"]["trial"]["tests"].values():
        del metric["keys"]
    await redis.set(key, orjson.dumps(kept))
    court.restart()
    state = await court.at(400)
    assert await court.verified(state.rollout, entries) == [Verdict.GOOD]


async def test_entries_behind_one_that_is_on_its_way_wait_for_it(court: Court) -> None:
    await court.begin(Strategy.CANARY)
    entries = chain("gw-a", Rows().canary(6000))
    court.archive.add([entries[0], *entries[2:]])
    await court.at(100)
    court.archive.add(entries)
    state = await court.at(200)
    assert await court.verified(state.rollout, entries) == [Verdict.GOOD]
    assert [look.rows for look in await court.looks(state.rollout)] == [50, 6000]


async def test_without_evidence_it_waits_to_its_end_and_no_longer(court: Court) -> None:
    await court.begin(Strategy.CANARY)
    deadlines = set()
    for minute in range(30):
        state = await court.at(60 * minute)
        if state.rollout is None:
            break
        assert (state.rollout.step, state.rollout.verdict) == (0, Verdict.UNKNOWN)
        deadlines.add(state.rollout.step_deadline)
        await court.steering.end_overdue(state, ADA, court.now)  # as the gateways do
    assert sorted(deadlines) == [BEGUN + 600, BEGUN + 1200, BEGUN + 1500]
    assert state.active == INCUMBENT
    assert state.last_rollout is not None
    assert state.last_rollout.outcome is Outcome.ABORTED
    assert await court.verified(state.last_rollout, []) == [Verdict.UNKNOWN]


async def test_in_a_freeze_a_good_step_waits(court: Court) -> None:
    await court.begin(Strategy.CANARY)
    await court.steering.change(AddFreeze("f", "a holiday", BEGUN, NOW + 300), CY, BEGUN)
    court.archive.add(of_two_gateways(Rows().canary(6000)))
    rollout = (await court.at(200)).rollout
    assert rollout is not None
    assert (rollout.step, rollout.verdict) == (0, Verdict.GOOD)
    assert (await court.at(301)).rollout.step == 1  # type: ignore[union-attr]


async def test_a_freeze_that_is_longer_than_a_step_ends_no_good_one(court: Court) -> None:
    await court.begin(Strategy.CANARY)
    await court.steering.change(AddFreeze("f", "a holiday", BEGUN, NOW + 1000), CY, BEGUN)
    court.archive.add(of_two_gateways(Rows().canary(6000)))
    await court.at(200)
    assert (await court.at(500)).rollout.step_deadline == BEGUN + 1200  # type: ignore[union-attr]
    await court.steering.end_overdue(await court.steering.read(), ADA, BEGUN + 601)
    assert (await court.at(1001)).rollout.step == 1  # type: ignore[union-attr]


async def in_its_last_step(court: Court, freeze_ends: float) -> float:
    """Bring a canary to where all keys see it, and have a freeze begin before its settling ends.

    Give the end of that step, had there been no freeze.
    """
    await court.begin(Strategy.CANARY)
    court.archive.add(of_two_gateways(Rows().canary(6000)))
    rollout = (await court.at(200)).rollout
    assert rollout is not None
    assert rollout.step == 1
    freeze = AddFreeze("f", "a holiday", court.now + SETTLING_SECONDS / 2, freeze_ends)
    await court.steering.change(freeze, CY, court.now)
    return rollout.step_deadline - NOW


async def live_until(court: Court, seconds: float, every: float = 20) -> SteeringState:
    """Let the judge and the gateways look every few seconds, as they do."""
    state = await court.steering.read()
    while court.now < NOW + seconds and state.rollout is not None:
        state = await court.at(min(court.now - NOW + every, seconds))
        await court.steering.end_overdue(state, ADA, court.now)
    return await court.steering.read()


async def test_a_freeze_that_begins_in_the_last_seconds_of_a_canary_holds_it_and_aborts_nothing(
    court: Court,
) -> None:
    thawed = 1200
    deadline = await in_its_last_step(court, NOW + thawed)
    assert deadline < thawed
    state = await live_until(court, thawed - 1)
    assert state.rollout is not None
    assert (state.active, state.rollout.step) == (INCUMBENT, 1)
    state = await live_until(court, thawed + 1)
    assert (state.active, state.rollout) == (CANDIDATE, None)
    assert state.last_rollout is not None
    assert state.last_rollout.outcome is Outcome.FINISHED


async def test_a_freeze_that_outlasts_a_rollout_ends_it_where_it_was_to_end(court: Court) -> None:
    await in_its_last_step(court, NOW + 5000)
    ends = BEGUN + SETTINGS.rollout_seconds - NOW
    assert (await live_until(court, ends - 1)).rollout is not None
    state = await live_until(court, ends)
    assert (state.active, state.rollout) == (INCUMBENT, None)
    assert state.last_rollout is not None
    assert "in the freeze f (a holiday) that outlasts the rollout" in state.last_rollout.note


@pytest.mark.parametrize("part", ["lost", "refused"])
async def test_a_candidate_that_leaves_rows_without_an_answer_does_not_go_on(
    court: Court, part: str
) -> None:
    await court.begin(Strategy.CANARY)
    court.archive.add(of_two_gateways(Rows().canary(6000)))
    await court.count(Tally(), Tally(1000, **{part: 99}))
    rollout = (await court.at(200)).rollout
    assert rollout is not None
    assert rollout.step == 0
    assert f"{100 if part == 'lost' else 99} of 2000 rows of the candidate" in rollout.note
    await court.count(Tally(100_000), Tally(100_000))
    assert (await court.at(260)).rollout.step == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("strategy", [Strategy.CANARY, Strategy.SHADOW])
async def test_one_that_lost_rows_hold_back_is_not_active_at_the_rollouts_end(
    court: Court, strategy: Strategy
) -> None:
    await court.begin(strategy)
    asked = Rows().canary(6000) if strategy is Strategy.CANARY else Rows().shadow(3000)
    entries = of_two_gateways(asked)
    court.archive.add(entries)
    await court.count(Tally(), Tally(10_000, 5000))
    ends = SETTINGS.rollout_seconds - SETTLING_SECONDS
    await live_until(court, ends - 80)
    state = await live_until(court, ends, every=2)
    assert (state.active, state.rollout) == (INCUMBENT, None)
    assert state.last_rollout is not None
    assert state.last_rollout.outcome is Outcome.ABORTED
    assert set(await court.verified(state.last_rollout, entries)) == {Verdict.UNKNOWN}
    certificate = (await court.certificates(state.last_rollout))[-1]
    assert certificate.looks[-1].verdict == "good"
    assert "5001 of 11000 rows of the candidate got no answer" in certificate.reason
    assert certificate.counted is not None
    assert certificate.counted.candidate.lost == 5001


async def test_rows_that_are_lost_while_a_freeze_holds_a_good_step_hold_it_back_too(
    court: Court,
) -> None:
    await court.begin(Strategy.CANARY)
    await court.steering.change(AddFreeze("f", "a holiday", BEGUN, NOW + 210), CY, BEGUN)
    court.archive.add(of_two_gateways(Rows().canary(6000)))
    assert (await court.at(200)).rollout.verdict is Verdict.GOOD  # type: ignore[union-attr]
    await court.count(Tally(), Tally(10_000, 5000))
    rollout = (await court.at(211)).rollout  # no look is due
    assert rollout is not None
    assert (rollout.step, rollout.verdict) == (0, Verdict.UNKNOWN)
    assert "5001 of 11000 rows" in rollout.note


async def test_shares_that_are_near_each_other_by_chance_show_nothing(court: Court) -> None:
    """Of 20 rows that none was lost is no evidence, however often somebody looks."""
    await court.begin(Strategy.CANARY)
    court.archive.add(of_two_gateways(Rows().canary(6000)))
    await court.count(Tally(-980, -1), Tally(-980, -1))
    rollout = (await court.at(200)).rollout
    assert rollout is not None
    assert (rollout.step, rollout.verdict) == (0, Verdict.UNKNOWN)
    assert "0 of 20 rows of the candidate got no answer" in rollout.note


async def test_one_that_loses_more_rows_than_a_wide_margin_lets_through_is_held_back(
    court: Court,
) -> None:
    await court.begin(Strategy.CANARY)
    court.archive.add(of_two_gateways(Rows().canary(6000)))
    await court.count(Tally(100_000), Tally(100_000, 1000))  # 1 point, and errors may be 5 more
    rollout = (await court.at(200)).rollout
    assert rollout is not None
    assert (rollout.step, "worse by more than 0.1 points" in rollout.note) == (0, True)


def test_a_plan_knows_which_families_hold_state_and_which_have_no_interval() -> None:
    studies, bandits = {"bayes-opt", "bayes-opt-tell"}, {"bandit", "bandit-feedback"}
    assert set(STATEFUL) == studies | bandits | {"bandit-evaluate", "anomaly", "regime"}
    assert set(WITHOUT_INTERVAL) == studies


async def test_studies_alone_are_judged_without_intervals(court: Court) -> None:
    await court.begin(Strategy.CANARY)
    none = {"interval": None, "meta": {"interval_reason": "a suggestion is no forecast"}}
    rows = Rows()
    decisions = [
        rows.row(CANDIDATE if at % 2 else INCUMBENT, "e", family="bayes-opt", answer=none)
        for at in range(6000)
    ]
    court.archive.add(of_two_gateways(decisions))
    rollout = (await court.at(200)).rollout
    assert rollout is not None
    assert rollout.step == 1, rollout.note


async def test_a_margin_without_a_test_is_said_and_nothing_goes_on(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BOUNDS, "happiness", Bounds(relative=True, least=0.0, most=1.0))
    margins = (Margin(metric="happiness", relative=0.1, absolute=None),)
    await court.begin(Strategy.CANARY, SETTINGS.model_copy(update={"margins": margins}))
    rollout = (await court.at(200)).rollout
    assert rollout is not None
    assert rollout.verdict is Verdict.UNKNOWN
    assert "happiness" in rollout.note


async def test_an_aborted_rollout_is_left_alone(court: Court) -> None:
    await court.begin(Strategy.CANARY)
    court.archive.add(of_two_gateways(Rows().canary(6000)))
    await court.steering.change(Abort("r", "a doubt"), ADA, NOW)
    assert (await court.at(200)).rollout is None


@pytest.mark.parametrize("spoilt", [b"{", b"[1]", b'{"examination": {"plan": {}}}', b"null"])
async def test_kept_evidence_that_cannot_be_read_stops_no_judge(
    court: Court, redis: Redis, spoilt: bytes
) -> None:
    await court.begin(Strategy.CANARY)
    entries = of_two_gateways(Rows().canary(2000, allowed=False))
    court.archive.add(entries)
    await redis.set("ballast:config:evidence", spoilt)
    state = await court.at(200)
    assert await court.verified(state.last_rollout, entries) == [Verdict.BAD]


async def test_a_margin_too_fine_for_the_test_is_said(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BOUNDS, "p99_ms", Bounds(relative=True, least=0.0, most=1.0))
    fine = Margin(metric="p99_ms", relative=1e-6, absolute=None)
    await court.begin(Strategy.CANARY, SETTINGS.model_copy(update={"margins": (fine,)}))
    state = await court.at(200)
    assert state.rollout is not None
    assert "choose a larger margin" in state.rollout.note


async def test_a_good_step_whose_document_is_gone_says_so_until_it_ends(
    court: Court, redis: Redis
) -> None:
    await court.begin(Strategy.SHADOW)
    court.archive.add(of_two_gateways(Rows().shadow(3000)))
    documents = ConfigStore(redis).versions_key
    record: Any = await redis.hget(documents, str(CANDIDATE))
    await redis.hdel(documents, str(CANDIDATE))
    for seconds in (200, 201, 262):
        rollout = (await court.at(seconds)).rollout
        assert rollout is not None
        assert rollout.verdict is Verdict.GOOD
        assert "The document of version 5 is not in Redis any more" in rollout.note
        assert len(rollout.certificates) == 1
    revision = (await court.steering.read()).revision
    assert (await court.at(263)).revision == revision  # what is said already is not said again
    await redis.hset(documents, str(CANDIDATE), record)
    state = await court.at(264)
    assert (state.active, state.rollout) == (CANDIDATE, None)


async def test_a_clock_that_is_ahead_of_redis_is_said_on_the_rollout(
    court: Court, redis: Redis
) -> None:
    seconds, _ = await redis.time()
    await court.begin(Strategy.BLUE_GREEN, at=float(seconds), shares=(0.0,))
    court.now = seconds + MOST_AHEAD_SECONDS + 100
    await court.judge.step()
    rollout = (await court.steering.read()).rollout
    assert rollout is not None
    assert "ahead of the clock of Redis: set it" in rollout.note
    court.now = float(seconds)
    await court.judge.step()
    rollout = (await court.steering.read()).rollout
    assert rollout is not None
    assert rollout.note == "not loaded yet by any replica"
