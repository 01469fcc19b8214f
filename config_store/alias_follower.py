"""Makes a version of the models that aliases came to name, and brings it into force.

A version goes by what it pins. So that a model which was trained anew answers, as those who trained
it expect, somebody has to say so: this does, whoever moved the alias.

What an alias names is taken up once. It is not taken up again after its rollout had the verdict
bad, after a person aborted that rollout or withdrew its version, nor after a rollback left the
model: one in force, or one that clients had seen. It is taken up again where its rollout was ended
and nothing was said about it by that: emergency mode began, a person went back to a version by its
number or before any client saw the model, or its step was past its deadline without a verdict, as
in a freeze. Then it is tried again after a pause, three times in all (`config_store/taken_up.py`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from redis.asyncio import Redis

from access.keys import Role
from config_store.document import ConfigDocument, PinnedModel
from config_store.errors import NoActiveVersionError, RefusedChangeError
from config_store.pinning import pin_faults, pinned, resolved
from config_store.releases import policy_hash
from config_store.steering.commands import (
    Actor,
    Command,
    Deploy,
    Draft,
    Validate,
    Validated,
    Withdraw,
)
from config_store.steering.drafts import undeployed
from config_store.steering.state import SteeringState, Strategy
from config_store.steering.store import SteeringStore
from config_store.steering.transitions import apply
from config_store.store import ConfigStore
from config_store.taken_up import Pins, TakenUp

log = logging.getLogger(__name__)

AUTHOR = "model aliases"
BY = Actor(AUTHOR, Role.OPERATOR)
# A replica loads a model in a second or two; one that died is forgotten after a minute. A model
# that cannot be loaded is given up then, and what answered goes on.
LOADED_WITHIN_SECONDS = 180.0
LOOK_SECONDS = 0.2
# Longer than replicas take that are well.
PATIENCE_SECONDS = 15.0
MOST_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class _Wish:
    """A version that is to be made, and how it is to come into force."""

    content_hash: str
    policy: str
    message: str
    strategy: Strategy


class AliasFollower:
    """`step` looks once; what an alias names is taken up once, and again where it was cut short."""

    def __init__(
        self,
        redis: Redis,
        models: Path,
        wall: Callable[[], float],
        answering: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """`answering` tells whether replicas of all roles answer; without it, none does yet."""
        self._models = models
        self._wall = wall
        self._answering = answering
        self._configs = ConfigStore(redis)
        self._steering = SteeringStore(redis)
        self._taken_up = TakenUp(redis)
        self._said: dict[str, str] = {}
        self._refused = ""

    async def step(self) -> None:
        try:
            state = await self._steering.read()
        except NoActiveVersionError:
            return
        if not _may_deploy(state, self._wall()):
            return
        document = (await self._configs.get(state.active)).document
        if document.models is None:
            # Its aliases are followed by the replicas; who starts them pins it.
            if self._answering is None:
                await self._pin_all(state, document)
            return
        moved = await self._moved(state, document)
        if moved and (self._answering is None or await self._answering()):
            await self._take_up(state, document, moved)

    async def _pin_all(self, state: SteeringState, document: ConfigDocument) -> None:
        pinning = await asyncio.to_thread(pinned, document, self._models)
        pins = pinning.models or {}
        what = _named(pins) if pins else "no model is trained yet"
        why = f"models are pinned: {what}"
        number = await self._bring(state, pinning, why, Strategy.BLUE_GREEN)
        if number is not None:
            await self._taken_up.note(pins, number)

    async def _moved(self, state: SteeringState, document: ConfigDocument) -> Pins:
        """Give what aliases name that is neither pinned nor was taken up for good."""
        named = await asyncio.to_thread(resolved, document, self._models)
        pins = document.models or {}
        fresh = await self._taken_up.new_and_again(named, state, self._wall())
        same = {name: pin for name, pin in fresh.items() if pins.get(name) == pin}
        await self._taken_up.note(same)
        return {name: pin for name, pin in fresh.items() if name not in same}

    async def _take_up(self, state: SteeringState, document: ConfigDocument, moved: Pins) -> None:
        first = not moved.keys() & (document.models or {}).keys()
        strategy = Strategy.BLUE_GREEN if first else Strategy(state.settings.aliases.strategy)
        if self._answering is None and strategy is not Strategy.BLUE_GREEN:
            return  # it is compared with what answers, once something does
        faults = await asyncio.to_thread(pin_faults, moved, self._models)
        if faults != self._said:
            self._said = faults
            for place, what in faults.items():
                log.warning("%s is not brought into force: %s", place, what)
        good = {name: pin for name, pin in moved.items() if f"models.{name}" not in faults}
        if not good:
            return
        models = {**(document.models or {}), **good}
        changed = document.model_copy(update={"models": models})
        number = await self._bring(state, changed, f"moved: {_named(good)}", strategy)
        if number is not None:
            await self._taken_up.note(good, number)

    async def _bring(
        self, state: SteeringState, document: ConfigDocument, why: str, strategy: Strategy
    ) -> int | None:
        """Draft, check and deploy it; where people have a say, leave the rest to them.

        Gives the version's number, or None where it is refused: then no draft of it is left.
        """
        message = why[:MOST_CHARACTERS]
        # The policy is the one in force: only models are others.
        content, policy = await asyncio.to_thread(
            lambda: (document.config_hash, policy_hash(document))
        )
        wish = _Wish(content, policy, message, strategy)
        try:
            number = await self._made(state, document, wish)
        except RefusedChangeError as refusal:
            if str(refusal) != self._refused:
                self._refused = str(refusal)
                log.warning("No version is made (%s): %s", message, refusal)
            return None
        self._refused = ""
        log.info("Version %d: %s", number, message)
        return number

    async def _made(self, state: SteeringState, document: ConfigDocument, wish: _Wish) -> int:
        """Make it; what would be refused is found in memory first, so that nothing is drafted."""
        room, now = _room(state), self._wall()
        first = Draft(max(state.versions) + 1, wish.content_hash, wish.message, state.active)
        _rehearse(state, [*room, first, *self._after_draft(state, first.number, wish)], now)
        if room:
            await self._steering.change(room, BY, now)
        life = await self._steering.draft(document, wish.message, BY, now, state.active)
        try:
            await self._steering.change(self._after_draft(state, life.number, wish), BY, now)
        except RefusedChangeError as refusal:  # somebody was quicker: the next look tries again
            with suppress(RefusedChangeError):
                await self._steering.change(Withdraw(life.number, str(refusal)), BY, now)
            raise
        return life.number

    def _after_draft(self, state: SteeringState, number: int, wish: _Wish) -> list[Command]:
        """Give what follows a draft: its check, and its deploy where nobody else has a say."""
        commands: list[Command] = [
            Validate(number),
            Validated(number, wish.content_hash, policy=wish.policy, against=wish.policy),
        ]
        if state.settings.aliases.deploy and not state.settings.approvals_needed:
            commands.append(self._deploy(state, number, wish))
        return commands

    def _deploy(self, state: SteeringState, number: int, wish: _Wish) -> Deploy:
        command = Deploy(
            number,
            wish.strategy,
            f"models-{number}-{wish.content_hash[:12]}",
            state.active,
            wish.message,
        )
        if wish.strategy is not Strategy.BLUE_GREEN or self._answering is None:
            return command
        soon = {
            "lead_seconds": 0.0,
            "step_seconds": LOADED_WITHIN_SECONDS,
            # A freeze puts off the step's end, and never the rollout's.
            "rollout_seconds": max(state.settings.rollout.rollout_seconds, LOADED_WITHIN_SECONDS),
        }
        settings = state.settings.rollout.model_copy(update=soon)
        # None of the keys first, until every replica has it loaded; the rollout's judge goes on.
        return replace(command, shares=(0.0,), settings=settings)


def _room(state: SteeringState) -> list[Command]:
    """Withdraw the oldest of those that wait for people, where there may be no more."""
    waiting = undeployed(state, AUTHOR)
    if len(waiting) < state.settings.drafts_per_author:
        return []
    return [Withdraw(waiting[0], "aliases moved again since")]


def _rehearse(state: SteeringState, commands: Sequence[Command], now: float) -> None:
    """Carry commands out on the state in memory alone; RefusedChangeError says what would be."""
    for command in commands:
        state = apply(state, command, BY, now).state


async def settled(steering: SteeringStore, seconds: float = PATIENCE_SECONDS) -> SteeringState:
    """Read the state once no moved alias is on its way at once to all keys; it takes seconds.

    A person's change need not be refused for that. It gives the state as it is after so long.
    """
    try:
        async with asyncio.timeout(seconds):
            while is_switching(state := await steering.read()):  # noqa: ASYNC110 - see below
                await asyncio.sleep(LOOK_SECONDS)  # what it waits for is in Redis
            return state
    except TimeoutError:
        return await steering.read()


def is_switching(state: SteeringState) -> bool:
    """Tell whether a moved alias is on its way at once to all keys."""
    rollout = state.rollout
    return rollout is not None and rollout.by == AUTHOR and rollout.strategy is Strategy.BLUE_GREEN


def is_overtaken(seen: SteeringState, now: SteeringState) -> bool:
    """Tell whether a change to what was active is to be made anew, on top of another version."""
    return now.active != seen.active or (is_switching(now) and not is_switching(seen))


def _may_deploy(state: SteeringState, now: float) -> bool:
    busy = state.rollout or state.emergency or state.lock_at(now) or state.freezes_at(now)
    return not busy


def _named(pins: Mapping[str, PinnedModel]) -> str:
    return ", ".join(f"{name} {pin.version}" for name, pin in sorted(pins.items()))
