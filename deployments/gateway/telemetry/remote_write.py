"""Takes remote writes in: reads the body in turns, queues what is needed."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import Redis
from starlette.datastructures import Headers

from config_store.sources import RemoteWriteSource, SourcesConfig
from deployments.api.errors import (
    BadRequestError,
    TooLargeError,
    UnsupportedMediaTypeError,
)
from deployments.gateway.bodies.room import BodyRoom
from deployments.gateway.large_requests.turns import Turns
from deployments.gateway.telemetry.intake import MOST_REST_SECONDS, SourceKind, queueing
from features.errors import UnreadableWriteError, WriteTooLargeError
from features.sources.remote_write.codec import Codec, Message, Written
from features.sources.remote_write.compression import unpack
from features.sources.remote_write.needed import Needed
from features.sources.remote_write.samples import encode
from features.sources.remote_write.stream import SampleStream
from features.sources.rules import Mapping

# Packed: a sender's usual 2,000 samples are some 60 KB.
MOST_BYTES = 4 * 1024 * 1024
# Bodies that are on their way in at once. One sender may have all of them, for its shards send at
# the same time; those that find no room are sent again.
_MOST_BODIES = 32
# Unpacked, a body may be 32 MiB, and what is read of it takes more: so few at a time are safe.
AT_ONCE = 2
KIND = SourceKind(
    RemoteWriteSource,
    "remote_write",
    "/api/v1/write",
    "docs/sources/remote-write.md says how to connect one",
)
_MEDIA_TYPE = "application/x-protobuf"


@dataclass(frozen=True, slots=True)
class _Reader:
    """What reads the writes of one source, as long as its mapping stays."""

    mapping: Mapping
    codec: Codec


class RemoteWrites:
    """The remote writes of one gateway."""

    def __init__(
        self, redis: Redis, turns: Turns, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        # No key meets a limit of its own: the answer to that would be one that many senders take
        # as a reason to drop what they have.
        self.room = BodyRoom(_MOST_BODIES + 1, _MOST_BODIES)
        self._redis = redis
        self._turns = turns
        self._clock = clock
        self._readers: dict[str, _Reader] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)

    def configure(self, sources: SourcesConfig) -> None:
        """Let go of what was remembered for sources that are gone."""
        self._readers = {
            name: reader
            for name, reader in self._readers.items()
            if isinstance(sources.named.get(name), RemoteWriteSource)
        }

    async def take(
        self, name: str, source: RemoteWriteSource, raw: bytes, message: Message
    ) -> Written:
        """Read a body and queue the samples that the source's mapping needs."""
        codec = self._codec_of(name, source.mapping)
        async with self._at_once:
            try:
                content = await asyncio.to_thread(unpack, raw)
                written = await self._read(codec, content, message)
            except UnreadableWriteError as broken:
                raise BadRequestError(str(broken)) from broken
            except WriteTooLargeError as too_large:
                raise TooLargeError(str(too_large)) from too_large
            if written.times:
                await self._queue(name, await asyncio.to_thread(_encoded, written))
        return written

    async def _read(self, codec: Codec, content: bytes, message: Message) -> Written:
        """Read in parts; others get their turn after each."""
        return await self._turns.run(codec.read(content, message), MOST_REST_SECONDS, self._clock)

    async def _queue(self, name: str, entry: bytes) -> None:
        with queueing("samples", "send the same again"):
            await SampleStream(self._redis, name).add(entry)

    def _codec_of(self, name: str, mapping: Mapping) -> Codec:
        reader = self._readers.get(name)
        if reader is None or reader.mapping != mapping:
            reader = self._readers[name] = _Reader(mapping, Codec(Needed(mapping)))
        return reader.codec


def _encoded(written: Written) -> bytes:
    return encode(written.taken())


def message_of(headers: Headers) -> Message:
    """Tell which message a body is, by what its headers say; 415 for one that is not known."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding != "snappy":
        raise UnsupportedMediaTypeError(
            f"The content encoding is {encoding!r}; the one that is read is snappy, in its block "
            "format"
        )
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != _MEDIA_TYPE:
        raise UnsupportedMediaTypeError(
            f"The content type is {media_type.strip()[:80]!r}; the one that is read is "
            f"{_MEDIA_TYPE}"
        )
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "proto":
            return _known(value.strip().strip('"'))
    return Message.V1


def _known(name: str) -> Message:
    try:
        return Message(name)
    except ValueError:
        raise UnsupportedMediaTypeError(
            f"The message is {name[:80]!r}; those that are read are {', '.join(Message)}"
        ) from None
