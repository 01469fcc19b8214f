"""Makes a version of the models that aliases came to name, and brings it into force.

A version goes by what it pins. So that a model which was trained anew answers, as those who trained
it expect, somebody has to say so: this does, whoever moved the alias.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from access.keys import Role
from config_store.document import ConfigDocument
from config_store.errors import NoActiveVersionError, RefusedChangeError
from config_store.pinning import pin_faults, pinned, resolved
from config_store.pins import PinnedModel
from config_store.steering.commands import Actor, Command, Deploy, Validate, Validated
from config_store.steering.state import SteeringState, Strategy, VersionLife
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from settings.redis_names import redis_name

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

Pins = dict[str, PinnedModel]


class AliasFollower:
    """`step` looks once; what an alias names is taken up once, and not again after a rollback."""

    def __init__(
        self,
        redis: Redis,
        models: Path,
        wall: Callable[[], float],
        answering: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """`answering` tells whether any replica answers; without it, nobody does yet."""
        self._redis = redis
        self._models = models
        self._wall = wall
        self._answering = answering
        self._configs = ConfigStore(redis)
        self._steering = SteeringStore(redis)
        self._key = redis_name(redis, "config", "aliases")
        self._said: dict[str, str] = {}

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
        moved = await self._moved(document)
        if moved and (self._answering is None or await self._answering()):
            await self._take_up(state, document, moved)

    async def _pin_all(self, state: SteeringState, document: ConfigDocument) -> None:
        pinning = await asyncio.to_thread(pinned, document, self._models)
        pins = pinning.models or {}
        what = _named(pins) if pins else "no model is trained yet"
        if await self._bring(state, pinning, f"models are pinned: {what}", Strategy.BLUE_GREEN):
            await self._note(pins)

    async def _moved(self, document: ConfigDocument) -> Pins:
        """Give what aliases name that is neither pinned nor was taken up before."""
        named = await asyncio.to_thread(resolved, document, self._models)
        pins, taken = document.models or {}, await self._taken_up()
        fresh = {name: pin for name, pin in named.items() if _word(pin) != taken(name, pin)}
        same = {name: pin for name, pin in fresh.items() if pins.get(name) == pin}
        await self._note(same)
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
        if await self._bring(state, changed, f"moved: {_named(good)}", strategy):
            await self._note(good)

    async def _bring(
        self, state: SteeringState, document: ConfigDocument, why: str, strategy: Strategy
    ) -> bool:
        """Draft, check and deploy it; where people have a say, leave the rest to them."""
        message = why[:MOST_CHARACTERS]
        life = await self._steering.draft(document, message, BY, self._wall(), state.active)
        commands: list[Command] = [
            Validate(life.number),
            Validated(life.number, life.content_hash),
        ]
        settings = state.settings
        if settings.aliases.deploy and not settings.approvals_needed:
            commands.append(self._deploy(state, life, strategy))
        try:
            await self._steering.change(commands, BY, self._wall())
        except RefusedChangeError as refusal:  # somebody was quicker: the next look tries again
            log.warning("Version %d was not brought into force: %s", life.number, refusal)
            return False
        log.info("Version %d: %s", life.number, message)
        return True

    def _deploy(self, state: SteeringState, life: VersionLife, strategy: Strategy) -> Deploy:
        command = Deploy(
            life.number,
            strategy,
            f"models-{life.number}-{life.content_hash[:12]}",
            state.active,
            life.message,
        )
        if strategy is not Strategy.BLUE_GREEN or self._answering is None:
            return command
        soon = {
            "lead_seconds": 0.0,
            "step_seconds": LOADED_WITHIN_SECONDS,
            "rollout_seconds": LOADED_WITHIN_SECONDS,
        }
        settings = state.settings.rollout.model_copy(update=soon)
        # None of the keys first, until every replica has it loaded; the rollout's judge goes on.
        return replace(command, shares=(0.0,), settings=settings)

    async def _taken_up(self) -> Callable[[str, PinnedModel], str]:
        found: Any = await self._redis.hgetall(self._key)
        words = {name.decode(): word.decode() for name, word in found.items()}
        return lambda name, pin: words.get(_field(name, pin), "")

    async def _note(self, pins: Mapping[str, PinnedModel]) -> None:
        if pins:
            await self._redis.hset(
                self._key, mapping={_field(name, pin): _word(pin) for name, pin in pins.items()}
            )


async def settled(steering: SteeringStore, seconds: float = PATIENCE_SECONDS) -> SteeringState:
    """Read the state once no moved alias is on its way at once to all keys; it takes seconds.

    A person's change need not be refused for that. It gives the state as it is after so long.
    """
    try:
        async with asyncio.timeout(seconds):
            while _is_switching(state := await steering.read()):  # noqa: ASYNC110 - see below
                await asyncio.sleep(LOOK_SECONDS)  # what it waits for is in Redis
            return state
    except TimeoutError:
        return await steering.read()


def _is_switching(state: SteeringState) -> bool:
    rollout = state.rollout
    return rollout is not None and rollout.by == AUTHOR and rollout.strategy is Strategy.BLUE_GREEN


def _may_deploy(state: SteeringState, now: float) -> bool:
    busy = state.rollout or state.emergency or state.lock_at(now) or state.freezes_at(now)
    return not busy


def _field(name: str, pin: PinnedModel) -> str:
    return f"{name}@{pin.alias}"


def _word(pin: PinnedModel) -> str:
    return f"{pin.version} {pin.digest}"


def _named(pins: Mapping[str, PinnedModel]) -> str:
    return ", ".join(f"{name} {pin.version}" for name, pin in sorted(pins.items()))
