"""Versions of the configuration in Redis: immutable once drafted, one of them active.

How one is made and comes into force is config_store/steering/.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from pydantic import AwareDatetime, TypeAdapter, ValidationError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from config_store.document import ConfigDocument, hash_of
from config_store.earlier import brought_up
from config_store.errors import (
    ConfigError,
    CorruptVersionError,
    NoActiveVersionError,
    UnknownVersionError,
    UnreadableVersionError,
    WithdrawnVersionError,
)
from config_store.strays import Strays
from observability.timeline.stream import NOTE, stream_keys
from settings.redis_names import redis_name

# So many records are read at once for a list.
PAGE = 20
# To read and hash a record of so many bytes for the first time takes an event loop a millisecond.
LARGE = 65_536

# Lua runs as one step in Redis: of many that start a machine one makes the first version, and its
# event is on the timeline with it. A pointer that was lost alone is put back as steering knows it:
# what ships is for a machine on which nothing ever was active, and takes no other version's place.
# Where a document was removed by hand, the number after those that are left may be another's.
# Of a withdrawn version a record has no document, and this mark in its place.
IS_WITHDRAWN = """
local function is_withdrawn(record) return string.find(record, ',"withdrawn":true', 1, true) end
"""

_BOOTSTRAP = f"""
{NOTE}
local active = redis.call('GET', KEYS[2])
if active then return tonumber(active) end
local steered = redis.pcall('HGET', KEYS[5], 'active')
if type(steered) == 'string' and redis.call('HEXISTS', KEYS[1], steered) == 1 then
    redis.call('SET', KEYS[2], steered)
    redis.call('PUBLISH', ARGV[2], 'activated ' .. steered)
    return tonumber(steered)
end
local version = redis.call('HLEN', KEYS[1]) + 1
while redis.call('HEXISTS', KEYS[1], version) == 1 do version = version + 1 end
local fields, now = cjson.decode(ARGV[1]), redis.call('TIME')
note(KEYS[3], KEYS[4], cjson.encode({{
    kind = 'config_activated',
    time_ms = now[1] * 1000 + math.floor(now[2] / 1000),
    entity = '',
    source = '',
    details = {{
        version = version,
        before = 0,
        author = fields.author,
        reason = fields.reason,
        config_hash = fields.config_hash,
    }},
}}))
redis.call('HSET', KEYS[1], version, ARGV[1])
redis.call('SET', KEYS[2], version)
redis.call('PUBLISH', ARGV[2], 'activated ' .. version)
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
        self._bootstrap = redis.register_script(_BOOTSTRAP)

    async def bootstrap(
        self, document: ConfigDocument, author: str, reason: str, now: datetime
    ) -> int:
        """Make this document the first version unless something is active; answer what then is.

        Any number of processes may start a fresh machine at once: one of them wins.
        """
        record = packed(document, author, reason, now)
        steering = redis_name(self._redis, "config", "steering")
        keys = [self.versions_key, self.active_key, *self._timeline_keys, steering]
        try:
            return int(await self._bootstrap(keys=keys, args=[record, self.channel]))
        except ResponseError as refusal:
            await Strays(self._redis).name(refusal)
            raise

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
        if len(record) < LARGE:
            return _unpack_once(version, record)
        return await asyncio.to_thread(_unpack_once, version, record)

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


def packed(
    document: ConfigDocument,
    author: str,
    reason: str,
    now: datetime,
    co_authors: Sequence[str] = (),
) -> bytes:
    """Write a version's record; who may not approve it is kept there too, lest a state be lost."""
    canonical = document.canonical()
    others = {"co_authors": list(co_authors)} if co_authors else {}
    return orjson.dumps(
        {
            "config_hash": hash_of(canonical),
            "author": author,
            **others,
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
    except WithdrawnVersionError:  # all that a list says of it is kept
        return _headed(number, record, "")
    except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
        return _headed(number, record, str(error))
    return Listed(number, version.config_hash, version.author, version.reason, version.created)


def _headed(number: int, record: bytes | str, why: str) -> Listed:
    """Name what can be named of one without its document."""
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
    if "document" not in fields and fields.get("withdrawn") is True:
        raise WithdrawnVersionError(number)
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


@lru_cache(maxsize=16)
def _unpack_once(number: int, record: bytes | str) -> Version:
    """Read a record, of which the very bytes were read before where nobody changed them.

    The same few are looked at every few seconds, by those who serve and by those who look for what
    was changed behind steering's back.
    """
    return _unpack(number, record)


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
