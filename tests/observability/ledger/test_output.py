"""What Redis acknowledged and forgot, and does not take back at once: however long that lasts."""

import asyncio
import math
import os
import resource
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from observability.errors import SpoolError
from observability.ledger import unconfirmed
from observability.ledger.output import LedgerOutput, SpoolFile
from observability.ledger.spool import Spool
from observability.ledger.spools import Spools
from observability.ledger.stream import LedgerStream
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE_SECONDS, until

FORGETFUL = ("--appendonly", "no")
FULL = (*FORGETFUL, "--maxmemory", "1")


@pytest.fixture
async def output(client: Redis, tmp_path: Path) -> AsyncIterator[LedgerOutput]:
    """Give one whose copies are old as soon as there are newer ones: each outage is a long one."""
    stream = LedgerStream(client, timeout_s=PATIENCE_SECONDS)
    output = LedgerOutput(stream, SpoolFile(tmp_path, "gateway-1"), keep_s=0.0)
    await output.check_restart()
    yield output
    await output.close()


async def recorded(client: Redis) -> list[bytes]:
    return [message.data async for message in LedgerStream(client).messages()]


async def test_a_redis_that_comes_back_full_gets_what_it_forgot_once_it_has_room(
    output: LedgerOutput, redis_server: RedisServer, client: Redis
) -> None:
    await output.put([b"one", b"two"])
    redis_server.kill()
    await output.check_restart()
    redis_server.start(*FULL)
    for _ in range(2):
        await output.recover()
        assert output.away
    await client.config_set("maxmemory", "0")
    await output.recover()
    assert not output.away
    assert await recorded(client) == [b"one", b"two"]


async def test_also_where_it_was_back_before_anybody_noticed(
    output: LedgerOutput, redis_server: RedisServer, client: Redis
) -> None:
    await output.put([b"one"])
    redis_server.kill()
    redis_server.start(*FULL)
    await output.check_restart()
    assert output.away
    assert await output.put([b"two"]) == [None]
    await client.config_set("maxmemory", "0")
    await output.recover()
    assert sorted(await recorded(client)) == [b"one", b"two"]


async def test_what_a_dead_writer_left_takes_no_copies_out_of_the_spool(
    output: LedgerOutput, redis_server: RedisServer, client: Redis, tmp_path: Path
) -> None:
    """It is emptied while Redis fails and comes back."""
    await output.put([b"one"])
    redis_server.kill()
    await output.check_restart()
    redis_server.start(*FORGETFUL)
    left = Spool.create(tmp_path / "gateway-0.spool")
    left.append([b"other"])
    left.close()
    await output.sweep()
    await output.recover()
    assert sorted(await recorded(client)) == [b"one", b"other"]


async def test_more_than_one_write_brings_is_given_back_piece_by_piece(
    output: LedgerOutput, redis_server: RedisServer, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece that was taken is done with, so that a slow Redis has all of it in the end."""
    monkeypatch.setattr(unconfirmed, "PIECE_BYTES", 6)
    entries = [b"one", b"two", b"six", b"ten", b"all"]
    await output.put(entries)
    redis_server.kill()
    redis_server.start(*FORGETFUL)
    send, sizes = output._stream.send, list[int]()

    async def noted_send(entries: list[bytes], within_s: float | None = None) -> object:
        sizes.append(len(entries))
        if len(sizes) == 2:
            await client.config_set("maxmemory", "1")
        return await send(entries, within_s)

    monkeypatch.setattr(output._stream, "send", noted_send)
    await output.check_restart()
    await client.config_set("maxmemory", "0")
    assert await recorded(client) == entries[:2]
    await output.recover()
    assert sizes == [2, 2, 2, 1]
    assert await recorded(client) == entries


@pytest.fixture
async def careful(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[LedgerOutput]:
    """Give one for which no time is long enough for Redis to have written what it took."""
    async with redis_server.patient_client() as client:
        stream = LedgerStream(client, timeout_s=PATIENCE_SECONDS)
        output = LedgerOutput(stream, SpoolFile(tmp_path, "gateway-1"), keep_s=math.inf)
        yield output
        await output.close()


@pytest.fixture
def few_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let copies of ten entries be enough, and send two at a time."""
    monkeypatch.setattr(unconfirmed, "MAX_BYTES", 10_000)
    monkeypatch.setattr("observability.ledger.output.CHUNK_BYTES", 2000)
    monkeypatch.setattr("observability.ledger.output.LAST_BYTES", 2000)


def many(of: str) -> list[bytes]:
    return [f"{of} {each}".encode().ljust(1001) for each in range(50)]


@pytest.mark.usefixtures("few_copies")
@pytest.mark.parametrize("whose", ["its own", "a dead writer's"])
async def test_no_entry_of_a_large_spool_is_lost_by_a_redis_that_forgets_while_it_is_emptied(
    careful: LedgerOutput,
    redis_server: RedisServer,
    client: Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whose: str,
) -> None:
    redis_server.kill()
    redis_server.start(*FORGETFUL)
    await careful.check_restart()
    await careful.put([b"one"])
    if whose == "its own":
        redis_server.kill()
        await careful.put(many("of"))
        redis_server.start(*FORGETFUL)
        emptying = asyncio.create_task(careful.recover())
    else:
        left = Spool.create(tmp_path / "gateway-0.spool")
        left.append(many("of"))
        left.close()
        emptying = asyncio.create_task(careful.sweep())
    await until(lambda: careful._unconfirmed._bytes > 10_000 or emptying.done())
    redis_server.kill()
    await asyncio.wait([emptying])
    redis_server.start(*FORGETFUL)
    monkeypatch.setattr(unconfirmed, "MAX_BYTES", 1_000_000)
    await careful.check_restart()
    await careful.recover()
    await careful.sweep()
    assert set(await recorded(client)) == {b"one", *many("of")}


@pytest.mark.usefixtures("few_copies")
async def test_a_large_spool_waits_for_no_more_than_that_redis_has_written(
    careful: LedgerOutput, redis_server: RedisServer, client: Redis
) -> None:
    redis_server.kill()
    await careful.put(many("of"))
    redis_server.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await careful.recover()
    assert not careful.away
    assert await recorded(client) == many("of")
    assert careful._unconfirmed._bytes < 15_000


async def test_what_was_sent_when_redis_goes_away_once_more_is_in_the_spool_at_once(
    careful: LedgerOutput, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever empties it may be killed before Redis is back; each entry is there once."""
    redis_server.kill()
    await careful.put(many("of"))
    redis_server.start(*FORGETFUL)
    send, sizes = careful._stream.send, list[int]()

    async def killed_at_third(entries: list[bytes], within_s: float | None = None) -> object:
        sizes.append(len(entries))
        if len(sizes) == 3:
            redis_server.kill()
        return await send(entries, within_s)

    monkeypatch.setattr("observability.ledger.output.CHUNK_BYTES", 2000)
    monkeypatch.setattr("observability.ledger.output.LAST_BYTES", 2000)
    monkeypatch.setattr(careful._stream, "send", killed_at_third)
    for _ in range(3):
        await careful.recover()
    assert sizes == [2, 2, 2]
    assert careful._spool is not None
    assert careful._spool.peek(1_000_000) == [*many("of")[4:], *many("of")[:4]]


@asynccontextmanager
async def slow_link(server: RedisServer, bytes_a_second: int) -> AsyncIterator[Redis]:
    """Give a client behind a link that brings no more to Redis, and all answers at once."""
    path = server.folder / "slow"

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause: Callable[[int], float]
    ) -> None:
        try:
            while data := await reader.read(16 * 1024):
                await asyncio.sleep(pause(len(data)))
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def link(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_unix_connection(server.socket)
        await asyncio.gather(
            pump(reader, forth, lambda size: size / bytes_a_second), pump(back, writer, lambda _: 0)
        )

    once = Retry(NoBackoff(), 0)
    proxy = await asyncio.start_unix_server(link, path, limit=16 * 1024)
    async with proxy, Redis(unix_socket_path=str(path), socket_timeout=None, retry=once) as client:
        yield client


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_slow_link_takes_what_is_much_in_its_own_time(
    redis_server: RedisServer, client: Redis, tmp_path: Path, forgotten: bool
) -> None:
    """A megabyte takes longer than a request may; no entry is sent again and again."""
    entries = [b"%d" % each * 50_000 for each in range(20)]
    async with slow_link(redis_server, bytes_a_second=1_000_000) as slow:
        output = LedgerOutput(LedgerStream(slow, timeout_s=0.4), SpoolFile(tmp_path, "g"), math.inf)
        if forgotten:
            await output.put(entries, within_s=PATIENCE_SECONDS)
            await client.flushall()
        redis_server.kill()
        await output.put([b"last"] if forgotten else [*entries, b"last"])
        redis_server.start()
        tries = 0
        while output.away:
            tries += 1
            assert tries < 10, "it gets nowhere"
            await output.recover()
        await output.close()
    found = await recorded(client)
    assert sorted(set(found)) == sorted([*entries, b"last"])
    assert len(found) < 2 * len(entries)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_spool_that_cannot_be_opened_or_read_holds_up_no_other(
    output: LedgerOutput, client: Redis, tmp_path: Path
) -> None:
    (tmp_path / "gateway-0a.spool").mkdir()
    os.mkfifo(tmp_path / "gateway-0b.spool")
    left = Spool.create(tmp_path / "gateway-0c.spool")
    left.append([b"other"])
    left.close()
    opened = open_files()
    for _ in range(3):
        with pytest.raises(SpoolError, match=r"cannot open .*0a\.spool.*; cannot read .*0b\.spool"):
            await output.sweep()
    assert await recorded(client) == [b"other"]
    assert not left._path.exists()
    assert open_files() <= opened + 1  # a connection to Redis


@contextmanager
def full_disk() -> Iterator[None]:
    """Let files grow to 100,000 bytes and no further: a write beyond that fails half way."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def fails(*_: object) -> None:
    raise OSError("Input/output error")


@pytest.mark.parametrize("cut_fails_too", [False, True])
async def test_what_the_disk_did_not_take_waits_in_no_spool_afterwards(
    output: LedgerOutput,
    redis_server: RedisServer,
    client: Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cut_fails_too: bool,
) -> None:
    """Nobody was told that it was kept, so nobody need wait for it."""
    spools = Spools(client, tmp_path, time.time)
    redis_server.kill()
    with full_disk(), monkeypatch.context() as cut:
        if cut_fails_too:
            cut.setattr(os, "ftruncate", fails)
        with pytest.raises(SpoolError, match="cannot write"):
            await output.put([b"x" * 200_000])
    assert bool(await spools.why_waiting("any id")) == cut_fails_too
    redis_server.start()
    await output.recover()
    assert not output.away
    assert await spools.why_waiting("any id") is None
