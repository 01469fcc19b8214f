"""What a candidate breaks is held against it alone: its rollout ends, and nothing else."""

import time

import numpy as np
import pytest
from redis.asyncio import Redis

from access.keys import Role
from config_store.shipped import default_document
from config_store.steering.commands import Abort, Actor, Advance, Deploy, RollBack, Validated
from config_store.steering.settings import RolloutSettings
from config_store.steering.state import Outcome, Rollout, SteeringState, Strategy
from config_store.steering.store import SteeringStore
from deployments.runtime.batch import Batch
from deployments.safety.emergencies import KNOWN_WITHIN_SECONDS
from safety.emergency import DriftRule, EmergencyRules, ErrorRule
from safety.limits import Level, Range, Repair
from safety.policy import FamilyPolicy
from safety.tail import tail_policy
from settings.redis_connection import REDIS_AWAY
from tests.deployments.safety.conftest import NOW
from tests.deployments.safety.test_shared import know, replicas
from tests.deployments.safety.test_steered import batch, prepared, rungs
from tests.redis_server import RedisServer

ADA = Actor("ada", Role.OPERATOR)
GRACE = Actor("grace", Role.ADMIN)
ACTIVE = 1
AT_ONCE = RolloutSettings(evidence=False, lead_seconds=0)


def of(version: int, n: int = 1, **spoiled: float) -> Batch:
    found = batch(n, "auth", **spoiled)
    found.version = version
    return found


def unanswered(version: int, n: int) -> Batch:
    found = of(version, n)
    for name in tail_policy().outputs:
        del found.columns[name]
    return found


def calling_for_an_emergency() -> FamilyPolicy:
    never = Range(
        field="p999_pred",
        high=50_000.0,
        level=Level.CRITICAL,
        repair=Repair.EMERGENCY,
        message="This must not be.",
    )
    return tail_policy().model_copy(update={"ranges": (*tail_policy().ranges, never)})


def calls(version: int) -> Batch:
    """Give two rows of which the second calls for an emergency."""
    asked = of(version, 2)
    asked.columns["p999_pred"] = np.array([310.0, 55_000.0])
    return asked


class Operator:
    def __init__(self, redis: Redis) -> None:
        self.store = SteeringStore(redis)

    async def begin(self, name: str = "r", shares: tuple[float, ...] = (0.5, 1.0)) -> int:
        """Bring a new version on its way."""
        life = await self.store.draft(default_document(), "a change", ADA, NOW)
        await self.store.change(Validated(life.number, life.content_hash), ADA, NOW)
        await self.again(life.number, name, shares)
        return life.number

    async def again(self, number: int, name: str, shares: tuple[float, ...] = (0.5, 1.0)) -> None:
        deploy = Deploy(number, Strategy.CANARY, name, ACTIVE, shares=shares, settings=AT_ONCE)
        await self.store.change(deploy, GRACE, NOW)  # without evidence, which takes an admin

    async def state(self) -> SteeringState:
        return await self.store.read()

    async def given_up(self) -> Rollout:
        """Give the rollout that was ended without an emergency."""
        state = await self.state()
        assert (state.rollout, state.emergency) == (None, None)
        assert state.active == ACTIVE
        assert state.last_rollout is not None
        assert state.last_rollout.outcome is Outcome.ABORTED
        return state.last_rollout

    async def goes_on(self) -> bool:
        state = await self.state()
        return state.rollout is not None and state.emergency is None


@pytest.fixture
def operator(redis: Redis) -> Operator:
    return Operator(redis)


async def test_a_candidate_that_breaks_a_rule_ends_its_rollout_and_no_family_notices(
    redis: Redis, operator: Operator
) -> None:
    (one, at_one, judge), (two, at_two, _) = await replicas(redis, 2)
    candidate = await operator.begin()
    await know(redis, at_one, at_two)
    for each in (one, two):
        each.judge(of(candidate, 2, p99_pred=np.nan), judge)
        await each._emergencies.step()
    assert "4 rows broke critical limits" in (await operator.given_up()).note
    # Until it has heard of the end it lets nothing leave that the candidate's model says.
    found = two.judge(of(candidate), judge)
    assert (rungs(found), f"version {candidate} alone" in found.emergency) == (["baseline"], True)
    assert rungs(two.judge(of(ACTIVE), judge)) == ["model"]
    await know(redis, at_one, at_two)
    # What the candidate did is nothing against those that go on, whoever looks first.
    for each in (one, two, one):
        await each._emergencies.step()
        assert each._emergencies.now() is None
    assert rungs(two.judge(of(candidate), judge)) == ["model"]
    await operator.given_up()


async def test_what_is_in_force_turns_it_on_whatever_the_candidate_does(
    redis: Redis, operator: Operator
) -> None:
    ((one, at_one, judge),) = await replicas(redis, 1)
    candidate = await operator.begin()
    await know(redis, at_one)
    one.judge(of(candidate, 4, p99_pred=np.nan), judge)
    one.judge(of(ACTIVE, 4, p99_pred=np.nan), judge)
    await one._emergencies.step()
    state = await operator.state()
    assert state.emergency is not None
    assert (state.emergency.rule, state.rollout) == ("critical", None)
    assert "4 rows broke" in state.emergency.reason


async def test_a_candidate_that_is_the_last_straw_ends_its_rollout_first(
    redis: Redis, operator: Operator
) -> None:
    ((one, at_one, judge),) = await replicas(redis, 1)
    candidate = await operator.begin()
    await know(redis, at_one)
    for version in (ACTIVE, candidate):
        one.judge(of(version, 2, p99_pred=np.nan), judge)
    await one._emergencies.step()
    assert "with its rows 4 rows broke" in (await operator.given_up()).note
    await know(redis, at_one)
    await one._emergencies.step()
    await operator.given_up()
    one.judge(of(ACTIVE, 2, p99_pred=np.nan), judge)  # it was not the candidate
    await one._emergencies.step()
    assert (await operator.state()).emergency is not None


async def test_a_share_of_errors_that_others_hide_is_the_candidates_own(
    redis: Redis, operator: Operator
) -> None:
    ((one, at_one, judge),) = await replicas(redis, 1)
    one._emergencies.configure(
        EmergencyRules(errors=ErrorRule(share=0.5, seconds=60, least_rows=5))
    )
    candidate = await operator.begin()
    await know(redis, at_one)
    one.judge(of(ACTIVE, 500), judge)
    one.judge(unanswered(candidate, 4), judge)
    await one._emergencies.step()
    assert await operator.goes_on()  # too few to say
    one.judge(unanswered(candidate, 1), judge)
    await one._emergencies.step()
    assert "no model answered 100.0% of 5 rows" in (await operator.given_up()).note


async def test_a_candidates_call_for_an_emergency_is_one_of_the_candidate_alone(
    redis: Redis, operator: Operator
) -> None:
    ((one, at_one, _),) = await replicas(redis, 1)
    judge = prepared(one, calling_for_an_emergency())
    candidate = await operator.begin()
    await know(redis, at_one)
    found = one.judge(calls(candidate), judge)
    assert (rungs(found), "auth" in found.emergency) == (["baseline"] * 2, True)
    assert one._emergencies.wake.is_set()
    assert one._emergencies.now() is None
    assert rungs(one.judge(of(ACTIVE), judge)) == ["model"]
    assert rungs(one.judge(of(candidate), judge)) == ["baseline"]
    await one._emergencies.step()
    assert "auth" in (await operator.given_up()).note
    await know(redis, at_one)
    await one._emergencies.step()
    # A batch that was on its way: the row falls back by the policy, and nobody else does.
    found = one.judge(calls(candidate), judge)
    assert (rungs(found)[0], found.emergency) == ("model", "")
    assert rungs(found)[1] != "model"
    await one._emergencies.step()
    await operator.given_up()
    assert one.judge(calls(ACTIVE), judge).emergency


async def test_of_what_a_candidate_says_then_nothing_is_remembered(
    redis: Redis, operator: Operator
) -> None:
    ((one, at_one, judge),) = await replicas(redis, 1)
    candidate = await operator.begin()
    await know(redis, at_one)
    one.judge(of(ACTIVE, p99_pred=131.0), judge)
    one.judge(of(candidate, 4, p99_pred=np.nan), judge)
    await one._emergencies.step()
    one.judge(of(candidate, p99_pred=140.0), judge)
    found = one.judge(of(ACTIVE, p99_pred=np.nan), judge)
    assert (rungs(found), found.columns["p99_pred"][0]) == (["last_safe"], 131.0)


async def test_without_redis_it_is_given_up_here_at_once_and_later_everywhere(
    redis: Redis, redis_server: RedisServer, operator: Operator
) -> None:
    (one, at_one, judge), (two, at_two, _) = await replicas(redis, 2)
    candidate = await operator.begin()
    await know(redis, at_one, at_two)
    redis_server.kill()
    one.judge(of(candidate, 4, p99_pred=np.nan), judge)
    with pytest.raises(REDIS_AWAY):
        await one._emergencies.step()
    assert rungs(one.judge(of(candidate), judge)) == ["baseline"]
    assert rungs(one.judge(of(ACTIVE), judge)) == ["model"]
    assert rungs(two.judge(of(candidate), judge)) == ["model"]
    redis_server.start()
    await one._emergencies.step()
    await operator.given_up()


async def test_a_candidate_that_became_active_in_that_moment_turns_it_on(
    redis: Redis, operator: Operator
) -> None:
    ((one, at_one, _),) = await replicas(redis, 1)
    judge = prepared(one, calling_for_an_emergency())
    candidate = await operator.begin(shares=(1.0,))
    await know(redis, at_one)
    one.judge(calls(candidate), judge)
    await operator.store.change(Advance("r", 0), ADA, NOW)
    await one._emergencies.step()  # it does not know yet, and has nothing to abort
    assert rungs(one.judge(of(candidate), judge)) == ["baseline"]
    await know(redis, at_one)
    await one._emergencies.step()
    state = await operator.state()
    assert (state.active, state.emergency is not None) == (candidate, True)


async def test_a_version_that_is_tried_again_begins_with_nothing_against_it(
    redis: Redis, operator: Operator
) -> None:
    (one, at_one, judge), (two, at_two, _) = await replicas(redis, 2)
    candidate = await operator.begin()
    await know(redis, at_one, at_two)
    for each, at, rows in ((one, at_one, 1), (two, at_two, 2)):
        at.clocks.now = time.time() - 3
        each.judge(of(candidate, rows, p99_pred=np.nan), judge)
        await each._emergencies.step()
    assert await operator.goes_on()
    await operator.store.change(Abort("r", "a typo"), ADA, NOW)
    await operator.again(candidate, "s")
    await know(redis, at_one)  # the other one has told of the rollout before
    at_one.clocks.now = time.time()
    one.judge(of(candidate, 3, p99_pred=np.nan), judge)
    await one._emergencies.step()
    assert await operator.goes_on()
    one.judge(of(candidate, 1, p99_pred=np.nan), judge)
    await one._emergencies.step()
    assert (await operator.given_up()).id == "s"


async def test_what_was_rolled_back_counts_no_more(redis: Redis, operator: Operator) -> None:
    ((one, at_one, judge),) = await replicas(redis, 1)
    candidate = await operator.begin(shares=(1.0,))
    await operator.store.change(Advance("r", 0), ADA, NOW)
    await know(redis, at_one)
    one.judge(of(candidate, 3, p99_pred=np.nan), judge)
    await one._emergencies.step()
    await operator.store.change(RollBack("it is no good"), ADA, NOW)
    await know(redis, at_one)
    one.judge(of(ACTIVE, 1, p99_pred=np.nan), judge)
    await one._emergencies.step()
    assert (await operator.state()).emergency is None
    one.judge(of(ACTIVE, 3, p99_pred=np.nan), judge)
    await one._emergencies.step()
    assert (await operator.state()).emergency is not None


async def test_a_candidate_that_answers_otherwise_is_no_drift(
    redis: Redis, operator: Operator
) -> None:
    ((one, at_one, judge),) = await replicas(redis, 1)
    rule = DriftRule(family="tail", field="p99_pred", seconds=60, least_rows=100)
    one._emergencies.configure(EmergencyRules(drift=(rule,)))
    candidate = await operator.begin()
    await know(redis, at_one)
    spread = np.linspace(100, 140, 200)
    for _ in range(2):
        asked = of(ACTIVE, len(spread))
        asked.columns["p99_pred"] = spread
        one.judge(asked, judge)
    one.judge(of(candidate, 400, p99_pred=150.0), judge)
    await one._emergencies.step()
    assert await operator.goes_on()
    one.judge(of(ACTIVE, 400, p99_pred=150.0), judge)
    await one._emergencies.step()
    assert (await operator.state()).emergency is not None


async def test_what_a_version_breaks_before_it_is_known_as_candidate_ends_its_rollout_alone(
    redis: Redis, operator: Operator
) -> None:
    (one, at_one, _), (two, at_two, _) = await replicas(redis, 2)
    judge = prepared(one, calling_for_an_emergency())
    await know(redis, at_one, at_two)  # of no rollout yet
    candidate = await operator.begin()
    at_one.clocks.now = at_two.clocks.now = time.time()
    found = one.judge(calls(candidate), judge)
    assert (rungs(found), f"version {candidate} alone" in found.emergency) == (
        ["baseline"] * 2,
        True,
    )
    assert rungs(one.judge(of(ACTIVE), judge)) == ["model"]
    for each in (one, two):
        await each._emergencies.step()
        assert each._emergencies.now() is None
    assert await operator.goes_on()
    await know(redis, at_one, at_two)
    await one._emergencies.step()
    assert "auth" in (await operator.given_up()).note


async def test_rows_of_a_version_that_is_no_candidate_yet_are_held_against_it_later(
    redis: Redis, operator: Operator
) -> None:
    ((one, at_one, judge),) = await replicas(redis, 1)
    await know(redis, at_one)
    candidate = await operator.begin()
    at_one.clocks.now = time.time() + 1
    one.judge(of(candidate, 4, p99_pred=np.nan), judge)
    await one._emergencies.step()
    assert await operator.goes_on()
    await know(redis, at_one)
    await one._emergencies.step()
    assert "4 rows broke critical limits" in (await operator.given_up()).note


async def test_what_is_known_later_to_be_in_force_turns_it_on_then(
    redis: Redis, operator: Operator
) -> None:
    ((one, at_one, _),) = await replicas(redis, 1)
    judge = prepared(one, calling_for_an_emergency())
    await know(redis, at_one)
    candidate = await operator.begin(shares=(1.0,))
    await operator.store.change(Advance("r", 0), ADA, NOW)
    at_one.clocks.now = time.time()
    one.judge(calls(candidate), judge)
    await one._emergencies.step()
    assert (await operator.state()).emergency is None
    await know(redis, at_one)
    await one._emergencies.step()
    state = await operator.state()
    assert (state.active, state.emergency is not None) == (candidate, True)


async def test_an_alarm_of_before_a_rollout_is_nothing_against_its_candidate(
    redis: Redis, operator: Operator
) -> None:
    ((one, at_one, _),) = await replicas(redis, 1)
    judge = prepared(one, calling_for_an_emergency())
    candidate = await operator.begin()
    await operator.store.change(Abort("r", "a doubt"), ADA, NOW)
    await know(redis, at_one)
    at_one.clocks.now = time.time() - 10
    one.judge(calls(candidate), judge)  # a batch that was on its way
    await operator.again(candidate, "s")
    at_one.clocks.now = time.time()
    await know(redis, at_one)
    await one._emergencies.step()
    assert await operator.goes_on()
    assert rungs(one.judge(of(candidate), judge)) == ["model"]


@pytest.mark.parametrize("version", [7, 0])
async def test_a_version_that_steering_does_not_name_never_turns_it_on(
    redis: Redis, operator: Operator, version: int
) -> None:
    ((one, at_one, _),) = await replicas(redis, 1)
    judge = prepared(one, calling_for_an_emergency())
    drift = DriftRule(family="tail", field="p99_pred", seconds=60, least_rows=100)
    rules = one._emergencies._rules.rules.model_copy(update={"drift": (drift,)})
    one._emergencies.configure(rules)
    await operator.begin()
    await know(redis, at_one)
    for value in np.linspace(100, 140, 3):
        one.judge(of(version, 200, p99_pred=value), judge)
    one.judge(of(version, 4, p99_pred=np.nan), judge)
    one.judge(calls(version), judge)
    await one._emergencies.step()
    assert await operator.goes_on()
    at_one.clocks.now += KNOWN_WITHIN_SECONDS
    await one._emergencies.step()
    assert rungs(one.judge(of(version), judge)) == ["model"]
    assert await operator.goes_on()


async def test_what_was_in_force_counts_on_where_every_rollout_is_known(
    redis: Redis, operator: Operator
) -> None:
    ((one, at_one, judge),) = await replicas(redis, 1)
    await operator.begin(shares=(1.0,))
    await operator.store.change(Advance("r", 0), ADA, NOW)
    await know(redis, at_one)
    one.judge(of(ACTIVE, 4, p99_pred=np.nan), judge)  # a gateway that is behind goes by it
    at_one.steering.up_to_date = False  # it may be deployed again, as far as is known here
    await one._emergencies.step()
    assert (await operator.state()).emergency is None
    at_one.steering.up_to_date = True
    await one._emergencies.step()
    assert (await operator.state()).emergency is not None
