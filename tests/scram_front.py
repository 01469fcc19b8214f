"""SASL in front of a Kafka broker that knows no users: it checks passwords, then passes on.

It speaks what precedes a connection's use: ApiVersions (the broker's own answer, and SASL beside
it), SaslHandshake and SaslAuthenticate, as https://kafka.apache.org/protocol describes them, and
the server's half of SCRAM (RFC 5802) or PLAIN (RFC 4616).
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.fronts import LOOPBACK, copy, serving

HANDSHAKE, API_VERSIONS, AUTHENTICATE = 17, 18, 36
FLEXIBLE_API_VERSIONS = 3
AUTHENTICATION_FAILED, UNSUPPORTED_MECHANISM = 58, 33
ROUNDS = 4096
HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
MECHANISMS = (*HASHES, "PLAIN")


class RefusedError(Exception):
    """The password is not that of the user, or what was sent is not what the mechanism says."""


class Scram:
    """The server's half of one exchange."""

    def __init__(self, users: dict[str, str], mechanism: str) -> None:
        self._users = users
        self._hash = HASHES[mechanism]
        self._salt = secrets.token_bytes(16)
        self._bare = self._first = ""

    def answer(self, said: bytes) -> tuple[bytes, bool]:
        """Give what is answered, and whether the client is known by then."""
        return self._begin(said.decode()) if not self._first else self._check(said.decode())

    def _begin(self, said: str) -> tuple[bytes, bool]:
        self._bare = said.removeprefix("n,,")
        nonce = _fields(self._bare)["r"] + secrets.token_hex(12)
        self._first = f"r={nonce},s={_text(self._salt)},i={ROUNDS}"
        return self._first.encode(), False

    def _check(self, said: str) -> tuple[bytes, bool]:
        unproved, _, proof = said.rpartition(",p=")
        user = _fields(self._bare)["n"].replace("=2C", ",").replace("=3D", "=")
        password = self._users.get(user, secrets.token_hex(8)).encode()
        salted = hashlib.pbkdf2_hmac(self._hash, password, self._salt, ROUNDS)
        key = self._mac(salted, b"Client Key")
        message = f"{self._bare},{self._first},{unproved}".encode()
        signature = self._mac(hashlib.new(self._hash, key).digest(), message)
        expected = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        if _fields(unproved)["r"] != _fields(self._first)["r"]:
            raise RefusedError
        if not hmac.compare_digest(expected, base64.b64decode(proof)):
            raise RefusedError
        return b"v=" + _text(self._mac(self._mac(salted, b"Server Key"), message)).encode(), True

    def _mac(self, key: bytes, message: bytes) -> bytes:
        return hmac.digest(key, message, self._hash)


class Plain:
    """A password as it is."""

    def __init__(self, users: dict[str, str]) -> None:
        self._users = users

    def answer(self, said: bytes) -> tuple[bytes, bool]:
        _, user, password = said.split(b"\0")
        if self._users.get(user.decode()) != password.decode():
            raise RefusedError
        return b"", True


@dataclass
class ScramFront:
    """Who may come in, and who did."""

    users: dict[str, str]
    behind: int
    port: int = 0
    let_in: list[str] = field(default_factory=list)
    turned_away: int = 0

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            answers, asks = await asyncio.open_connection(LOOPBACK, self.behind)
            writers.append(asks)
            if await self._is_known(reader, writer, answers, asks):
                await asyncio.gather(copy(reader, asks), copy(answers, writer))
        except (OSError, EOFError, asyncio.CancelledError):
            return  # one of them had enough, or the test
        finally:
            for each in writers:
                each.transport.abort()

    async def _is_known(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        asks: asyncio.StreamWriter,
    ) -> bool:
        mechanism, exchange = "", None
        while True:
            request = await _frame(reader)
            api, version, correlation, begin = _head(request)
            if api == API_VERSIONS:
                asks.write(_framed(request))
                response = _with_sasl(await _frame(answers), version)
            elif api == HANDSHAKE:
                mechanism = _string(request, begin)
                exchange = self._exchange(mechanism)
                response = correlation + _handshake(known=exchange is not None)
            else:
                assert api == AUTHENTICATE, f"api {api} before anybody is known"
                assert exchange is not None, "the handshake comes first"
                try:
                    said, known = exchange.answer(request[begin + 4 :])
                except (RefusedError, ValueError, KeyError):
                    self.turned_away += 1
                    writer.write(_framed(correlation + _refused(version)))
                    await writer.drain()
                    return False
                response = correlation + _accepted(said, version)
                if known:
                    self.let_in.append(mechanism)
                    writer.write(_framed(response))
                    return True
            writer.write(_framed(response))

    def _exchange(self, mechanism: str) -> Scram | Plain | None:
        if mechanism in HASHES:
            return Scram(self.users, mechanism)
        return Plain(self.users) if mechanism in MECHANISMS else None


@contextmanager
def running(behind: int, users: dict[str, str]) -> Iterator[ScramFront]:
    front = ScramFront(users, behind)
    with serving(front.take) as front.port:
        yield front


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


def _framed(content: bytes) -> bytes:
    return struct.pack(">i", len(content)) + content


def _head(request: bytes) -> tuple[int, int, bytes, int]:
    """Give the api, its version, the bytes of the correlation, and where the body begins."""
    api, version = struct.unpack_from(">hh", request)
    (client,) = struct.unpack_from(">h", request, 8)
    return api, version, request[4:8], 10 + max(client, 0)


def _string(request: bytes, at: int) -> str:
    (length,) = struct.unpack_from(">h", request, at)
    return request[at + 2 : at + 2 + length].decode()


def _with_sasl(response: bytes, version: int) -> bytes:
    """Put SASL among what the broker says that it understands."""
    sasl = [(HANDSHAKE, 0, 1), (AUTHENTICATE, 0, 1)]
    if response[4:6] != b"\0\0":  # it does not know this version: the client asks by another one
        return response
    if version < FLEXIBLE_API_VERSIONS:
        (count,) = struct.unpack_from(">i", response, 6)
        entries = [struct.unpack_from(">hhh", response, 10 + 6 * at) for at in range(count)]
        rest = response[10 + 6 * count :]
        kept = [each for each in entries if each[0] not in {HANDSHAKE, AUTHENTICATE}] + sasl
        packed = b"".join(struct.pack(">hhh", *each) for each in kept)
        return response[:6] + struct.pack(">i", len(kept)) + packed + rest
    # A compact array: a number of one byte that is larger by one, and no tags behind an entry.
    count, at = response[6] - 1, 7
    assert response[6] < 126, "so many that their number takes two bytes"
    entries = [struct.unpack_from(">hhh", response, at + 7 * each) for each in range(count)]
    assert all(response[at + 7 * each + 6] == 0 for each in range(count))
    kept = [each for each in entries if each[0] not in {HANDSHAKE, AUTHENTICATE}] + sasl
    packed = b"".join(struct.pack(">hhh", *each) + b"\0" for each in kept)
    return response[:6] + bytes([len(kept) + 1]) + packed + response[at + 7 * count :]


def _handshake(*, known: bool) -> bytes:
    names = b"".join(struct.pack(">h", len(each)) + each.encode() for each in MECHANISMS)
    error = 0 if known else UNSUPPORTED_MECHANISM
    return struct.pack(">hi", error, len(MECHANISMS)) + names


def _accepted(said: bytes, version: int) -> bytes:
    return struct.pack(">hhi", 0, -1, len(said)) + said + _lifetime(version)


def _refused(version: int) -> bytes:
    why = b"no such user with this password"
    text = struct.pack(">hh", AUTHENTICATION_FAILED, len(why)) + why
    return text + struct.pack(">i", 0) + _lifetime(version)


def _lifetime(version: int) -> bytes:
    return struct.pack(">q", 0) if version else b""


def _fields(said: str) -> dict[str, str]:
    return dict(each.split("=", 1) for each in said.split(",") if "=" in each)


def _text(said: bytes) -> str:
    return base64.b64encode(said).decode()
