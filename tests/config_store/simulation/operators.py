"""What operators, approvers, admins and the platform's own rules ask for, drawn at random."""

from collections.abc import Callable
from random import Random

from access.keys import Role
from config_store.steering.commands import (
    Abort,
    Actor,
    AddFreeze,
    AddOverride,
    Advance,
    Approve,
    Command,
    Deploy,
    EmergencyOff,
    EmergencyOn,
    Judge,
    LeaveLock,
    RemoveFreeze,
    RemoveOverride,
    RollBack,
    SetSettings,
    TakeLock,
    Validate,
    Validated,
    Wait,
    Withdraw,
)
from config_store.steering.settings import RolloutSettings, SteeringSettings
from config_store.steering.state import Rollout, Stage, SteeringState, Strategy, Verdict
from tests.config_store.simulation.gateways import LEAD_SECONDS

PEOPLE = (
    Actor("ada", Role.OPERATOR),
    Actor("grace", Role.OPERATOR),
    Actor("bo", Role.APPROVER),
    Actor("cy", Role.ADMIN),
)
OPERATORS, APPROVERS, ADMIN = PEOPLE, PEOPLE[2:], PEOPLE[3]
PLATFORM = Actor("the platform", Role.OPERATOR)
ROLLOUT = RolloutSettings(lead_seconds=LEAD_SECONDS, step_seconds=20, rollout_seconds=60)
# Where more wait to be deployed, the oldest may be given up.
MOST_WAITING = 2
Asked = tuple[tuple[Command, ...], Actor]


# Beside what belongs to versions and rollouts, how often each of `_anything` is asked for.
OFTEN = (5, 2, 2, 3, 2, 2, 2, 1, 3, 3)


def wishes(random: Random) -> tuple[float, ...]:
    """Mix what people ask for in one schedule."""
    return tuple(each * random.choice((0.3, 1, 1, 6)) for each in OFTEN)


def draw(
    random: Random,
    state: SteeringState,
    now: float,
    name: Callable[[], str],
    wished: tuple[float, ...] = OFTEN,
) -> Asked:
    """Draw commands that somebody might give who saw this state, which may be an old one."""
    commands, by = _drawn(random, state, now, name, wished)
    if random.random() < 0.04:  # who may not, perhaps
        by = random.choice(PEOPLE)
    return commands, by


def _drawn(
    random: Random,
    state: SteeringState,
    now: float,
    name: Callable[[], str],
    wished: tuple[float, ...],
) -> Asked:
    rollout = state.rollout
    if rollout is not None and random.random() < (0.8 if now >= rollout.step_begun else 0.2):
        return _of_rollout(random, rollout)
    if state.emergency is not None and random.random() < 0.3:
        return (EmergencyOff("all is well"),), random.choice((ADMIN, ADMIN, PEOPLE[0]))
    if random.random() < 0.7:
        return _of_version(random, state, name)
    return _anything(random, state, now, name, wished)


def _of_rollout(random: Random, rollout: Rollout) -> Asked:
    at = (rollout.id, rollout.step)
    good, advance = Judge(*at, Verdict.GOOD), Advance(*at)
    later = rollout.step_deadline + random.uniform(-5, 30)
    commands: tuple[Command, ...] = random.choices(
        (
            (good, advance),
            (good,),
            (advance,),
            (Judge(*at, Verdict.UNKNOWN, "too few"),),
            (Judge(*at, Verdict.BAD, "slower", "c"),),
            (Wait(*at, later, "too few"),),
            (Abort(rollout.id, "on second thoughts"),),
            (RollBack("it is bad", random.choice((None, rollout.candidate, 1))),),
        ),
        weights=(30, 10, 10, 6, 12, 6, 3, 4),
    )[0]
    return commands, PLATFORM if random.random() < 0.5 else random.choice(OPERATORS)


def _of_version(random: Random, state: SteeringState, name: Callable[[], str]) -> Asked:
    waiting = [
        life
        for life in state.versions.values()
        if life.stage in {Stage.DRAFT, Stage.VALIDATING, Stage.APPROVED}
    ]
    if len(waiting) > MOST_WAITING and random.random() < 0.5:
        return (Withdraw(min(life.number for life in waiting)),), random.choice(OPERATORS)
    ready = [life for life in waiting if life.stage is Stage.APPROVED]
    others = [life for life in state.versions.values() if life.number != state.active]
    life = random.choice(waiting or others or list(state.versions.values()))
    if ready and random.random() < 0.6:
        life = random.choice(ready)
    elif random.random() < 0.1:
        life = random.choice(list(state.versions.values()))
    if life.stage is Stage.DRAFT or (life.checked is None and random.random() < 0.5):
        refusal = "no such model" if random.random() < 0.15 else ""
        checked = Validated(life.number, life.content_hash, refusal)
        begun = random.random() < 0.3
        return (Validate(life.number), checked) if begun else (checked,), PLATFORM
    if life.stage is Stage.VALIDATING and random.random() < 0.8:
        content = life.content_hash if random.random() < 0.9 else "what was read before"
        return (Approve(life.number, content),), random.choice(APPROVERS)
    return (_deploy(random, state, life.number, name),), random.choice(OPERATORS)


def _deploy(random: Random, state: SteeringState, number: int, name: Callable[[], str]) -> Deploy:
    strategy = random.choices(tuple(Strategy), weights=(3, 6, 2, 1))[0]
    shares = None
    if strategy is Strategy.CANARY:
        shares = random.choice(((0.3, 1.0), (0.1, 0.4, 0.7, 1.0), (1.0,)))
    if strategy is Strategy.BLUE_GREEN and random.random() < 0.3:
        shares = (0.0,)
    return Deploy(
        number,
        strategy,
        name(),
        state.active if random.random() < 0.95 else 1,
        shares=shares,
        replicas=random.randint(1, 3),
        settings=ROLLOUT,
        despite_branch=random.random() < 0.7,
    )


def _anything(
    random: Random,
    state: SteeringState,
    now: float,
    name: Callable[[], str],
    wished: tuple[float, ...],
) -> Asked:
    warm = random.choice((None, *state.warm, state.active))
    after = random.choice((None, state.active))
    settings = SteeringSettings(
        approvals_needed=random.choice((0, 0, 1, 1, 2)),
        warm=random.choice((1, 2, 3, 3)),
        versions_kept=random.choice((5, 6, 8)),
        drafts_at_most=5,
        drafts_per_author=2,
        overrides_at_most=random.choice((1, 3)),
        rollout=ROLLOUT,
    )
    override = AddOverride(
        name(), "tail", random.choice("pq"), 1.0, "a sale", now + random.uniform(-1, 20)
    )
    freeze = AddFreeze(name(), "expiry day", now + random.uniform(-5, 5), now + 8)
    given: tuple[tuple[Command, Actor], ...] = (
        (RollBack("it is bad", warm, after), random.choice(OPERATORS)),
        (EmergencyOn("answers are wrong", random.choice(("", "a rule"))), random.choice(PEOPLE)),
        (EmergencyOff("all is well"), random.choice(PEOPLE)),
        (override, ADMIN),
        (RemoveOverride(_id_of(random, state.overrides)), ADMIN),
        (freeze, ADMIN),
        (RemoveFreeze(_id_of(random, state.freezes)), ADMIN),
        (TakeLock("mine", 10.0), random.choice(OPERATORS)),
        (LeaveLock(), random.choice(PEOPLE)),
        (SetSettings(settings), ADMIN),
    )
    command, by = random.choices(given, weights=wished)[0]
    return (command,), by


def _id_of(random: Random, things: tuple[object, ...]) -> str:
    return str(getattr(random.choice(things), "id", "")) if things else "none"
