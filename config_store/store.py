"""Versions of the configuration in Redis: immutable once published, one of them active."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from pydantic import AwareDatetime, TypeAdapter, ValidationError
from redis.asyncio import Redis

from config_store.document import ConfigDocument, hash_of
from config_store.earlier import brought_up
from config_store.errors import (
    ConfigError,
    CorruptVersionError,
    NoActiveVersionError,
    UnknownVersionError,
    UnreadableVersionError,
)
from observability.timeline.stream import NOTE, stream_keys
from settings.redis_names import redis_name

# So many records are read at once for a list.
PAGE = 20

# Where a document was removed by hand, the number after those that are left may be another's.
_NEXT = """
local function next_number(versions)
    local number = redis.call('HLEN', versions) + 1
    while redis.call('HEXISTS', versions, number) == 1 do number = number + 1 end
    return number
end
"""

# Lua runs as one step in Redis: two publishers never get the same number, and nobody sees a
# number before its document.
_PUBLISH = f"""
{_NEXT}
local version = next_number(KEYS[1])
redis.call('HSET', KEYS[1], version, ARGV[1])
redis.call('PUBLISH', ARGV[2], 'published ' .. version)
return version
"""

# An activation and its event on the timeline are one step too; to activate what is active changes
# nothing. A version that cannot be read any more is activated all the same, as far as it is known.
_SWITCH = f"""
{NOTE}
local function switch(version, record, channel)
    local before = redis.call('GET', KEYS[2])
    if before ~= version then
        local read, fields = pcall(cjson.decode, record)
        local function text(name)
            local value = read and type(fields) == 'table' and fields[name]
            return type(value) == 'string' and value or 'unknown'
        end
        local now = redis.call('TIME')
        note(KEYS[3], KEYS[4], cjson.encode({{
            kind = 'config_activated',
            time_ms = now[1] * 1000 + math.floor(now[2] / 1000),
            entity = '',
            source = '',
            details = {{
                version = tonumber(version),
                before = tonumber(before or 0),
                author = text('author'),
                reason = text('reason'),
                config_hash = text('config_hash'),
            }},
        }}))
    end
    redis.call('SET', KEYS[2], version)
    redis.call('PUBLISH', channel, 'activated ' .. version)
end
"""

_ACTIVATE = f"""
{_SWITCH}
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return 0 end
switch(ARGV[1], record, ARGV[2])
return 1
"""

_BOOTSTRAP = f"""
{_SWITCH}
{_NEXT}
local active = redis.call('GET', KEYS[2])
if active then return tonumber(active) end
local version = next_number(KEYS[1])
redis.call('HSET', KEYS[1], version, ARGV[1])
switch(tostring(version), ARGV[1], ARGV[2])
return version
"""


@dataclass(frozen=True, slots=True)
class Version:
    """One published configuration and where it came from."""

    number: int
    config_hash: str
    author: str
    reason: str
    created: datetime
    document: ConfigDocument


@dataclass(frozen=True, slots=True)
class Listed:
    """One version as a list names it, with or without a document that this release can read."""

    number: int
    config_hash: str
    author: str
    reason: str
    created: datetime | None
    unreadable: str = ""  # why, where it cannot be read


class ConfigStore:
    """The versions in Redis; a Redis that is away shows as redis.exceptions.RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.versions_key = redis_name(redis, "config", "versions")
        self.active_key = redis_name(redis, "config", "active")
        self.channel = redis_name(redis, "config", "changed")
        self._timeline_keys = stream_keys(redis)
        self._publish = redis.register_script(_PUBLISH)
        self._activate = redis.register_script(_ACTIVATE)
        self._bootstrap = redis.register_script(_BOOTSTRAP)

    async def publish(
        self, document: ConfigDocument, author: str, reason: str, now: datetime
    ) -> int:
        """Keep a new version; it does nothing until it is activated."""
        record = packed(document, author, reason, now)
        return int(await self._publish(keys=[self.versions_key], args=[record, self.channel]))

    async def activate(self, version: int) -> None:
        """Make a version the one that every replica goes by."""
        keys = [self.versions_key, self.active_key, *self._timeline_keys]
        if not await self._activate(keys=keys, args=[version, self.channel]):
            raise UnknownVersionError(version)

    async def bootstrap(
        self, document: ConfigDocument, author: str, reason: str, now: datetime
    ) -> int:
        """Publish and activate this document unless something is active; answer what then is.

        Any number of processes may start a fresh machine at once: one of them wins.
        """
        record = packed(document, author, reason, now)
        keys = [self.versions_key, self.active_key, *self._timeline_keys]
        return int(await self._bootstrap(keys=keys, args=[record, self.channel]))

    async def active(self) -> Version:
        # Two steps are enough: a version that the pointer ever named cannot change or go away.
        number = await self._redis.get(self.active_key)
        if number is None:
            raise NoActiveVersionError
        return await self.get(int(number))

    async def get(self, version: int) -> Version:
        record = await self._redis.hget(self.versions_key, str(version))
        if record is None:
            raise UnknownVersionError(version)
        return _unpack(version, record)

    async def history(self, limit: int = 50) -> tuple[Listed, ...]:
        """List the latest versions, newest first; one that cannot be read hides no other."""
        kept: Any = await self._redis.hkeys(self.versions_key)
        numbers = sorted((int(each) for each in kept if each.isdigit()), reverse=True)[:limit]
        listed = list[Listed]()
        for begin in range(0, len(numbers), PAGE):
            page = numbers[begin : begin + PAGE]
            records: Any = await self._redis.hmget(self.versions_key, [str(each) for each in page])
            # Each is read as a document, of up to a megabyte: not on an event loop.
            listed += await asyncio.to_thread(_listed_page, page, records)
        return tuple(listed)


def packed(document: ConfigDocument, author: str, reason: str, now: datetime) -> bytes:
    canonical = document.canonical()
    return orjson.dumps(
        {
            "config_hash": hash_of(canonical),
            "author": author,
            "reason": reason,
            "created": now,
            "document": canonical.decode(),
        }
    )


def _listed_page(numbers: list[int], records: list[bytes | str | None]) -> list[Listed]:
    return [
        _listed(number, record)
        for number, record in zip(numbers, records, strict=True)
        if record is not None
    ]


def _listed(number: int, record: bytes | str) -> Listed:
    try:
        version = _unpack(number, record)
    except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
        return _unreadable(number, record, str(error))
    return Listed(number, version.config_hash, version.author, version.reason, version.created)


def _unreadable(number: int, record: bytes | str, why: str) -> Listed:
    """Name what can be named of it."""
    try:
        fields = orjson.loads(record)
        named = {name: str(fields[name]) for name in ("config_hash", "author", "reason")}
        created = _AWARE.validate_python(fields["created"])
    except (ValueError, KeyError, TypeError):
        named, created = dict.fromkeys(("config_hash", "author", "reason"), ""), None
    return Listed(number, **named, created=created, unreadable=why)


_AWARE = TypeAdapter(AwareDatetime)


def _unpack(number: int, record: bytes | str) -> Version:
    fields = orjson.loads(record)
    text = fields["document"].encode()
    # The hash is checked on the stored text, not on the document read from it: a later release may
    # read defaults into an old version, which makes it no less the version that was published.
    if (found := hash_of(text)) != fields["config_hash"]:
        raise CorruptVersionError(number, fields["config_hash"], found)
    return Version(
        number=number,
        config_hash=fields["config_hash"],
        author=fields["author"],
        reason=fields["reason"],
        created=_AWARE.validate_python(fields["created"]),
        document=_read(number, text),
    )


@lru_cache(maxsize=8)
def _document(text: bytes) -> ConfigDocument:
    """Read a document once: all parts of a process go by the same few, and nobody changes them."""
    return ConfigDocument.model_validate_json(brought_up(text))


def _read(number: int, text: bytes) -> ConfigDocument:
    try:
        return _document(text)
    except ValidationError as refusal:
        first = refusal.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise UnreadableVersionError(number, f"{where}: {first['msg']}") from refusal
