"""What a fresh Redis needs once: a configuration and an admin key. Whether ClickHouse answers."""

import asyncio
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from redis.asyncio import Redis

from access.key_store import KeyStore
from access.keys import Role
from config_store.document import ConfigDocument
from config_store.errors import (
    ChangedBehindError,
    ConfigError,
    NoActiveVersionError,
    StrayKeyError,
)
from config_store.repair import Repair
from config_store.shipped import default_document
from config_store.steering.commands import Actor, EmergencyOn
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from config_store.strays import REMEDY, Strays
from launch.errors import (
    ClickhouseAwayError,
    ClickhouseTakenError,
    RedisAwayError,
    RedisSpoiltError,
)
from launch.old_names import move_old_names
from observability.errors import ObservabilityError, ServerTakenError
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY, open_redis

log = logging.getLogger(__name__)

AUTHOR = "ballast up"
BY = Actor(AUTHOR, Role.OPERATOR)
CLICKHOUSE_ANSWERS_WITHIN_SECONDS = 10.0


async def prepare_redis(settings: Settings, document: ConfigDocument | None = None) -> None:
    """Publish the first configuration and make the first key, unless they are there."""
    redis = open_redis(settings.redis_address, settings.redis_prefix)
    now = datetime.now(UTC)
    try:
        await move_old_names(redis, settings)
        for stray in await Strays(redis).find():
            log.warning("%s. %s", stray, REMEDY)
        await _revive_steering(redis, now)
        await ConfigStore(redis).bootstrap(
            document or default_document(), AUTHOR, reason="a fresh machine", now=now
        )
        await _found_steering(redis, now)
        await _first_key(KeyStore(redis), settings.paths.key_file, now)
    finally:
        await redis.aclose()


async def _revive_steering(redis: Redis, now: datetime) -> None:
    """Write a state that cannot be used again from its copy, and the pointer with it."""
    with suppress(NoActiveVersionError):  # a fresh Redis
        if await Repair(redis).revive(BY, now.timestamp()):
            log.warning("The steering state in Redis was spoilt: it is written again from its copy")


async def _found_steering(redis: Redis, now: datetime) -> None:
    """Store the steering state of a fresh Redis, or of one that an earlier release filled.

    One that cannot be used keeps nobody from starting: it is shown, and repaired, by what starts.
    """
    try:
        await SteeringStore(redis).found(BY, now.timestamp())
    except ConfigError as error:
        log.warning("%s `ballast config drift` shows more, `ballast config repair` mends it", error)


async def _first_key(keys: KeyStore, key_file: Path, now: datetime) -> None:
    ring = await keys.ring()
    if (kept := read_secret(key_file)) and ring.verify(kept.encode()):
        return
    issued = await keys.create(Role.ADMIN, "made by ballast up", now)
    write_secret(key_file, issued.presented)


def read_secret(path: Path) -> str | None:
    return path.read_text().strip() if path.is_file() else None


def write_secret(path: Path, secret: str) -> None:
    """Write for the owner's eyes only, from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")


def prepare(settings: Settings, document: ConfigDocument | None = None) -> None:
    """Prepare what is absent; without a document of one's own it is the shipped one."""
    try:
        asyncio.run(prepare_redis(settings, document))
        if settings.emergency_mode:
            asyncio.run(_begin_emergency(settings))
    except StrayKeyError as stray:
        raise RedisSpoiltError(str(stray)) from stray
    except (*REDIS_AWAY, ValueError) as error:
        if settings.embedded_redis:
            raise
        raise RedisAwayError(str(error)) from error


async def _begin_emergency(settings: Settings) -> None:
    redis = open_redis(settings.redis_address, settings.redis_prefix)
    try:
        begin = EmergencyOn("EMERGENCY_MODE was set when the platform was started")
        by = Actor("EMERGENCY_MODE", Role.OPERATOR)
        await SteeringStore(redis).change(begin, by, datetime.now(UTC).timestamp())
    except ChangedBehindError:
        # A state that cannot be trusted is an emergency already: every family answers its fallback.
        log.warning(
            "EMERGENCY_MODE could not be noted: the steering state has to be repaired first"
        )
    finally:
        await redis.aclose()


def check_clickhouse(settings: Settings) -> None:
    """Ask the server that is named once, before the minute that a cluster takes to start."""
    if settings.clickhouse_url is None:
        return
    # Brings Arrow with it, which a start without a server need not wait for.
    from observability.clickhouse.lease import Lease  # noqa: PLC0415 - see above
    from observability.clickhouse.over_http import HttpClickhouse  # noqa: PLC0415 - see above

    platform = asyncio.run(_platform(settings))
    try:
        with HttpClickhouse(settings.clickhouse_url, CLICKHOUSE_ANSWERS_WITHIN_SECONDS) as store:
            Lease(store, platform).look()
    except ServerTakenError as error:
        raise ClickhouseTakenError(f"{error}.") from error
    except ObservabilityError as error:
        raise ClickhouseAwayError(str(error)) from error


async def _platform(settings: Settings) -> str:
    from observability.clickhouse.lease import platform_id  # noqa: PLC0415 - brings Arrow with it

    redis = open_redis(settings.redis_address, settings.redis_prefix)
    try:
        return await platform_id(redis)
    finally:
        await redis.aclose()
