"""Which models of aliases were taken up, and by which versions: each once, unless cut short.

It lies in Redis, so that neither a restart nor a rollback brings a model back that was left.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from redis.asyncio import Redis

from config_store.document import PinnedModel
from config_store.steering.state import Stage, SteeringState
from settings.redis_names import redis_name

log = logging.getLogger(__name__)

# A rollout that was ended was in somebody's way: its model comes back when that is over, and not
# for ever.
PAUSE_SECONDS = 600.0
MOST_TRIES = 3

Pins = dict[str, PinnedModel]


class TakenUp:
    """What was taken up, by the model's name and its alias."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis_name(redis, "config", "aliases")
        self._tries_key = redis_name(redis, "config", "aliases", "tries")
        self._left: set[str] = set()

    async def new_and_again(self, named: Pins, state: SteeringState, now: float) -> Pins:
        """Give those that were not taken up yet, and those that are to be tried again now."""
        found: Any = await self._redis.hgetall(self._key)
        tries: Any = await self._redis.hgetall(self._tries_key)
        return {
            name: pin
            for name, pin in named.items()
            if (word := _word(pin)) != found.get(_field(name, pin).encode(), b"").decode()
            or self._comes_again(
                f"{_field(name, pin)} {word}",
                _versions(tries.get(_field(name, pin).encode()), word),
                state,
                now,
            )
        }

    async def note(self, pins: Mapping[str, PinnedModel], number: int | None = None) -> None:
        """Note what was taken up, and the version that was made of it, in one step."""
        if not pins:
            return
        words: dict[Any, Any] = {_field(name, pin): _word(pin) for name, pin in pins.items()}
        before: Any = await self._redis.hmget(self._tries_key, list(words))
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._key, mapping=words)
            if number is not None:
                told = zip(words.items(), before, strict=True)
                tries: dict[Any, Any] = {
                    field: " ".join((word, *map(str, (*_versions(was, word), number))))
                    for (field, word), was in told
                }
                pipe.hset(self._tries_key, mapping=tries)
            await pipe.execute()

    def _comes_again(
        self, said: str, versions: tuple[int, ...], state: SteeringState, now: float
    ) -> bool:
        """Tell whether it is time to try a model again whose last rollout was cut short."""
        last = state.versions.get(versions[-1]) if versions else None
        if last is None or last.stage is not Stage.ROLLED_BACK or not last.interrupted:
            return False
        if len(versions) >= MOST_TRIES:
            self._leave(said, versions)
            return False
        rollout = state.last_rollout
        if rollout is None or rollout.candidate != last.number or rollout.ended is None:
            return True
        return now >= rollout.ended + PAUSE_SECONDS

    def _leave(self, said: str, versions: Iterable[int]) -> None:
        if said in self._left:
            return
        self._left.add(said)
        listed = ", ".join(map(str, versions))
        log.warning(
            "%s was to come into force by the versions %s, and each rollout was cut short: it is "
            "not tried again. Deploy the last of them, or move the alias",
            said,
            listed,
        )


def _field(name: str, pin: PinnedModel) -> str:
    return f"{name}@{pin.alias}"


def _word(pin: PinnedModel) -> str:
    return f"{pin.version} {pin.digest}"


def _versions(tries: bytes | None, word: str) -> tuple[int, ...]:
    """Read the versions that were made of what a word names; none where they are of another."""
    before, found, numbers = (tries or b"").decode().partition(f"{word} ")
    return tuple(map(int, numbers.split())) if found and not before else ()
