"""The writer against a real Redis that is killed, frozen, filled up and emptied."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from observability.background import Loops
from observability.errors import LedgerClosedError, LedgerUnavailableError
from observability.ledger.decision import Decision
from observability.ledger.entry import Entry
from observability.ledger.spool import Spool
from observability.ledger.stream import LedgerStream, SendResult
from observability.ledger.writer import LedgerWriter, Timing
from tests.observability.ledger.chains import verify_chains
from tests.waiting import PATIENCE_SECONDS

PATIENT = Timing(timeout=PATIENCE_SECONDS, retry=0.02, check=0.1, sweep=0.1)
# For a Redis that is away or hangs; one that merely waits for a processor must not count as such.
QUICK = replace(PATIENT, timeout=0.2)

Decide = Callable[..., list[Decision]]
Eventually = Callable[..., Awaitable[None]]


def writer(
    client: Redis, spools: Path, name: str = "gateway-1", timing: Timing = PATIENT
) -> LedgerWriter:
    return LedgerWriter(client, writer=name, spool_dir=spools, clock=time.time, timing=timing)


async def recorded(client: Redis) -> list[Entry]:
    return [entry async for entry in LedgerStream(client).entries()]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows(entries: list[Entry]) -> set[bytes]:
    return {row for entry in entries for row in entry.rows}


async def test_a_batch_is_in_the_stream_when_append_returns(
    client: Redis, tmp_path: Path, decide: Decide
) -> None:
    async with writer(client, tmp_path) as pen:
        batch = decide(3)
        result = await pen.append(batch)
        assert not result.spooled
        genesis, entry = await recorded(client)
        assert result.entry_id == (await LedgerStream(client).read(None, 2))[-1].id
    assert (genesis.header.seq, genesis.header.writer, genesis.rows) == (0, "gateway-1", ())
    assert entry.rows == tuple(decision.row for decision in batch)
    assert abs(entry.header.created_ms - time.time() * 1000) < 5000
    assert files(tmp_path) == []


async def test_concurrent_batches_keep_the_chain_in_order(
    client: Redis, tmp_path: Path, decide: Decide
) -> None:
    async with writer(client, tmp_path) as pen:
        batches = [decide(1 + i % 5) for i in range(200)]
        results = await asyncio.gather(*map(pen.append, batches))
    entries = await recorded(client)
    assert [entry.header.seq for entry in entries] == list(range(201))
    assert verify_chains(entries).whole
    ids = [tuple(map(int, str(result.entry_id).split("-"))) for result in results]
    assert ids == sorted(set(ids))
    assert [entry.rows for entry in entries[1:]] == [tuple(d.row for d in b) for b in batches]


async def test_writers_need_no_lock_between_them(
    client: Redis, tmp_path: Path, decide: Decide
) -> None:
    pens = [await writer(client, tmp_path, f"gateway-{i}").start() for i in range(4)]
    await asyncio.gather(*(pen.append(decide(2)) for _ in range(25) for pen in pens))
    result = verify_chains(await recorded(client))
    assert result.whole
    assert {name: head.seq for name, head in result.heads.items()} == {
        f"gateway-{i}": 25 for i in range(4)
    }
    for pen in pens:
        await pen.close()


async def test_redis_killed_under_load_loses_nothing_and_the_ledger_is_whole_again(
    redis_server: Any, client: Redis, tmp_path: Path, decide: Decide, eventually: Eventually
) -> None:
    acknowledged: list[Decision] = []
    spooled = 0

    async def load(pen: LedgerWriter, until: asyncio.Event) -> None:
        nonlocal spooled
        while not until.is_set():
            batch = decide(4)
            spooled += (await pen.append(batch)).spooled
            acknowledged.extend(batch)
            await asyncio.sleep(0.001)

    async with writer(client, tmp_path, timing=QUICK) as pen:
        stop = asyncio.Event()
        clients = [asyncio.create_task(load(pen, stop)) for _ in range(8)]
        for _ in range(3):
            await asyncio.sleep(0.2)
            redis_server.kill()
            await eventually(lambda: pen.spooled_entries > 0)
            redis_server.start()
            await eventually(lambda: not pen.degraded)
        stop.set()
        await asyncio.gather(*clients)
        assert pen.spooled_entries == 0
    entries = await recorded(client)
    assert {decision.row for decision in acknowledged} <= rows(entries)
    assert verify_chains(entries).whole
    assert spooled > 0
    assert files(tmp_path) == []


async def test_while_redis_is_away_only_the_first_batch_waits_for_it(
    redis_server: Any, client: Redis, tmp_path: Path, decide: Decide
) -> None:
    # Were each of the twenty to wait for Redis, they would take ten minutes.
    async with writer(client, tmp_path, timing=replace(QUICK, timeout=30.0)) as pen:
        await pen.append(decide(1))
        redis_server.kill()
        await pen.append(decide(1))
        for _ in range(20):
            assert (await pen.append(decide(1))).spooled


async def test_a_frozen_redis_is_away_after_the_timeout_and_gets_each_entry_once_or_twice(
    redis_server: Any, client: Redis, tmp_path: Path, decide: Decide, eventually: Eventually
) -> None:
    """It takes what it was sent, after it woke up: the spool's copy makes that a duplicate."""
    async with writer(client, tmp_path, timing=QUICK) as pen:
        await pen.append(decide(1))
        redis_server.freeze()
        batch = decide(2)
        async with asyncio.timeout(PATIENCE_SECONDS):  # it never wakes up by itself
            assert (await pen.append(batch)).spooled
        redis_server.thaw()
        await eventually(lambda: not pen.degraded)
        await pen.append(decide(1))
    entries = await recorded(client)
    result = verify_chains(entries)
    assert result.whole
    assert result.entries == 4
    assert {decision.row for decision in batch} <= rows(entries)


async def test_a_redis_that_forgot_what_it_acknowledged_is_given_it_again(
    redis_server: Any, client: Redis, tmp_path: Path, decide: Decide, eventually: Eventually
) -> None:
    """Without a log on its disk Redis forgets everything: worse than what everysec can do."""
    redis_server.kill()
    redis_server.start("--appendonly", "no")
    # Found out because a write failed, not by the check that looks for restarts.
    async with writer(client, tmp_path, timing=replace(PATIENT, check=60)) as pen:
        batches = [decide(2) for _ in range(20)]
        for batch in batches:
            assert not (await pen.append(batch)).spooled
        pen._output._stream._timeout_s = QUICK.timeout
        redis_server.kill()
        batches.append(decide(2))
        assert (await pen.append(batches[-1])).spooled
        redis_server.start("--appendonly", "no")
        await eventually(lambda: not pen.degraded)
        entries = await recorded(client)
    assert {decision.row for batch in batches for decision in batch} == rows(entries)
    assert verify_chains(entries).whole


async def test_a_restart_between_two_batches_is_noticed(
    redis_server: Any, client: Redis, tmp_path: Path, decide: Decide, eventually: Eventually
) -> None:
    redis_server.kill()
    redis_server.start("--appendonly", "no")
    async with writer(client, tmp_path, timing=QUICK) as pen:
        batch = decide(2)
        await pen.append(batch)

        async def seen() -> bool:
            """Tell whether it knows the run that is about to end."""
            return bool(pen._output._run_id == (await client.info("server"))["run_id"])

        await eventually(seen)

        async def restored() -> bool:
            return {decision.row for decision in batch} <= rows(await recorded(client))

        for _ in range(2):  # what was given back may be forgotten as well
            redis_server.kill()
            redis_server.start("--appendonly", "no")
            await eventually(restored)
            await eventually(seen)
        await eventually(lambda: not pen.degraded)


async def test_a_redis_without_memory_left_counts_as_away(
    client: Redis, tmp_path: Path, decide: Decide, eventually: Eventually
) -> None:
    """So the bound on Redis's memory bounds the stream, and the disk takes what exceeds it."""
    async with writer(client, tmp_path) as pen:
        await pen.append(decide(1))
        await client.config_set("maxmemory", "1mb")
        batch = decide(1, features="x" * 1_000_000)
        results = [await pen.append(batch) for batch in (batch, decide(1))]
        assert any(result.spooled for result in results)
        await client.config_set("maxmemory", "0")
        await eventually(lambda: not pen.degraded)
    result = verify_chains(await recorded(client))
    assert result.whole
    assert result.rows == 3


async def test_the_next_writer_empties_what_a_dead_one_left(
    redis_server: Any, client: Redis, tmp_path: Path, decide: Decide, eventually: Eventually
) -> None:
    dead = writer(client, tmp_path, "gateway-dead", timing=QUICK)
    redis_server.kill()
    batch = decide(3)
    assert (await dead.append(batch)).spooled
    assert dead._output._spool is not None
    os.close(dead._output._spool._file)  # all that a kill -9 does to it
    async with writer(client, tmp_path, "gateway-next", timing=QUICK) as pen:
        assert (await pen.append(decide(1))).spooled
        redis_server.start()

        async def swept() -> bool:
            return {decision.row for decision in batch} <= rows(await recorded(client))

        await eventually(swept)
        await eventually(lambda: "gateway-dead.spool" not in files(tmp_path))
    assert verify_chains(await recorded(client)).whole


async def test_a_living_writers_spool_is_left_alone(
    client: Redis, tmp_path: Path, decide: Decide
) -> None:
    held = Spool.create(tmp_path / "gateway-other.spool")
    held.append([b"mine"])
    async with writer(client, tmp_path) as pen:
        await pen.append(decide(1))
        await asyncio.sleep(3 * QUICK.sweep)
    assert held.peek(100) == [b"mine"]
    held.close()
    assert await client.xlen("ballast:ledger") == 2


async def test_closing_while_redis_is_away_leaves_the_spool_to_the_next(
    redis_server: Any, client: Redis, tmp_path: Path, decide: Decide, eventually: Eventually
) -> None:
    redis_server.kill()
    batch = decide(2)
    async with writer(client, tmp_path, "gateway-1", timing=QUICK) as pen:
        await pen.append(batch)
    assert files(tmp_path) == ["gateway-1.spool"]
    redis_server.start()
    async with writer(client, tmp_path, "gateway-2", timing=QUICK):
        await eventually(lambda: not files(tmp_path))
    assert rows(await recorded(client)) == {decision.row for decision in batch}


async def test_without_redis_and_without_a_disk_nothing_is_acknowledged(
    redis_server: Any, client: Redis, tmp_path: Path, decide: Decide, eventually: Eventually
) -> None:
    """The chain that lost numbered entries ends; the next one begins whole."""
    blocked = tmp_path / "spools"
    blocked.write_text("a file where the folder should be")
    async with writer(client, blocked, timing=QUICK) as pen:
        kept = [decide(1), decide(1)]
        await pen.append(kept[0])
        redis_server.kill()
        with pytest.raises(LedgerUnavailableError, match="the spool failed"):
            await pen.append(decide(1))
        redis_server.start()
        await eventually(lambda: not pen.degraded)
        await pen.append(kept[1])
    result = verify_chains(await recorded(client))
    assert result.whole
    assert sorted(result.heads) == ["gateway-1", "gateway-1~1"]
    assert {decision.row for batch in kept for decision in batch} <= rows(await recorded(client))


async def test_an_append_that_is_cancelled_harms_no_other(
    client: Redis, tmp_path: Path, decide: Decide
) -> None:
    async with writer(client, tmp_path) as pen:
        gone = asyncio.create_task(pen.append(decide(1)))
        stays = asyncio.create_task(pen.append(decide(1)))
        await asyncio.sleep(0)
        gone.cancel()
        assert not (await stays).spooled
    assert verify_chains(await recorded(client)).whole


async def test_a_writer_can_be_closed_at_any_moment(
    redis_server: Any, tmp_path: Path, decide: Decide
) -> None:
    """A new connection each: closing meets the tending in every stage of its first call."""
    for turns in range(60):
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            redis_server.client() as fresh,
            writer(fresh, tmp_path, f"gateway-{turns}") as pen,
        ):
            if turns % 2:
                await pen.append(decide(1))
            for _ in range(turns // 2):
                await asyncio.sleep(0)


async def test_a_closed_writer_takes_nothing(client: Redis, tmp_path: Path, decide: Decide) -> None:
    pen = await writer(client, tmp_path).start()
    await pen.close()
    await pen.close()
    with pytest.raises(LedgerClosedError):
        await pen.append(decide(1))


async def test_a_batch_without_decisions_is_a_mistake(client: Redis, tmp_path: Path) -> None:
    async with writer(client, tmp_path) as pen:
        with pytest.raises(ValueError, match="at least one decision"):
            await pen.append([])


WRITE_UNTIL_KILLED = """
import asyncio, os, pathlib, sys, time
from redis.asyncio import Redis
from observability.ledger.decision import Decision, DecisionIds
from observability.ledger.writer import LedgerWriter

async def main(socket, spools):
    ids = DecisionIds(time.time, os.urandom)
    async with LedgerWriter(Redis(unix_socket_path=socket), writer="gateway-killed",
                            spool_dir=pathlib.Path(spools), clock=time.time) as pen:
        while True:
            names = ids.take(5)
            await pen.append([Decision(n, b'{"decision_id":"%s"}' % n.encode()) for n in names])
            print(*names, sep="\\n", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("redis_dies_first", [False, True])
async def test_kill_9_of_a_gateway_loses_no_answer_that_left_it(
    redis_server: Any,
    client: Redis,
    tmp_path: Path,
    eventually: Eventually,
    redis_dies_first: bool,
) -> None:
    """What the process printed after `append` returned is what clients would have received."""
    gateway = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITE_UNTIL_KILLED, redis_server.socket, tmp_path),
        stdout=asyncio.subprocess.PIPE,
    )
    assert gateway.stdout is not None
    answered = [await gateway.stdout.readline() for _ in range(100)]
    if redis_dies_first:
        redis_server.kill()
        answered += [await gateway.stdout.readline() for _ in range(100)]
    gateway.kill()
    answered += (await gateway.stdout.read()).splitlines(keepends=True)
    await gateway.wait()
    if redis_dies_first:
        redis_server.start()
    names = {line.strip() for line in answered if line.endswith(b"\n")}
    async with writer(client, tmp_path, "gateway-next", PATIENT):

        async def is_complete() -> bool:
            found = b"".join(rows(await recorded(client)))
            return all(name in found for name in names)

        await eventually(is_complete)
        await eventually(lambda: not files(tmp_path))
    assert verify_chains(await recorded(client)).whole


async def test_copies_that_were_sent_are_not_taken_off_the_spool_again(
    redis_server: Any,
    client: Redis,
    tmp_path: Path,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The spool may be emptied while its copies are just being written, and fail half way."""
    # Not started: nobody else tends the spool. However slow this is, Redis may have forgotten all.
    pen = writer(client, tmp_path, timing=Timing(keep=600))
    batches = [decide(1) for _ in range(3)]
    for batch in batches:
        await pen.append(batch)
    redis_server.kill()
    batches.append(decide(1))
    assert (await pen.append(batches[-1])).spooled
    redis_server.start()
    output, send = pen._output, pen._output._stream.send
    answers = iter([True])

    async def send_once(entries: list[bytes], within_s: float) -> SendResult:
        return (
            await send(entries, within_s)
            if next(answers, False)
            else SendResult([], TimeoutError())
        )

    with monkeypatch.context() as patched:
        patched.setattr("observability.ledger.output.CHUNK_BYTES", 1)
        patched.setattr(output._stream, "send", send_once)
        with pytest.raises(TimeoutError):
            await output._empty(output._spool, leave=0)
    await output.recover()
    assert not pen.degraded
    await pen.close()
    found = rows(await recorded(client))
    assert {decision.row for batch in batches for decision in batch} <= found


WRITE_AND_GO_ON = """
import asyncio, os, pathlib, sys, time
from redis.asyncio import Redis
from observability.ledger.decision import Decision, DecisionIds
from observability.ledger.writer import LedgerWriter, Timing

async def main(socket, spools):
    ids = DecisionIds(time.time, os.urandom)
    async with LedgerWriter(Redis(unix_socket_path=socket), writer="gateway-killed",
                            timing=Timing(check=0.1, keep=600),
                            spool_dir=pathlib.Path(spools), clock=time.time) as pen:
        while True:
            names = ids.take(5)
            await pen.append([Decision(n, b'{"decision_id":"%s"}' % n.encode()) for n in names])
            print(*names, sep="\\n", flush=True)
            await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_redis_that_forgets_and_a_gateway_killed_before_it_is_back_lose_nothing(
    redis_server: Any, client: Redis, tmp_path: Path, eventually: Eventually, goes_on: bool
) -> None:
    """The gateway notices by its next write, or without one by looking now and then."""
    redis_server.kill()
    redis_server.start("--appendonly", "no")
    gateway = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITE_AND_GO_ON, redis_server.socket, tmp_path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert gateway.stdin is not None
    assert gateway.stdout is not None
    names: list[bytes] = []
    for _ in range(20):
        names += [(await gateway.stdout.readline()).strip() for _ in range(5)]
        gateway.stdin.write(b"more\n")
    names += [(await gateway.stdout.readline()).strip() for _ in range(5)]
    redis_server.kill()
    if goes_on:
        gateway.stdin.write(b"more\n")
        names += [(await gateway.stdout.readline()).strip() for _ in range(5)]
    spool = tmp_path / "gateway-killed.spool"
    await eventually(lambda: spool.exists() and names[-1] in spool.read_bytes())
    gateway.kill()
    await gateway.wait()
    redis_server.start("--appendonly", "no")
    async with writer(client, tmp_path, "gateway-next", PATIENT):
        await eventually(lambda: not files(tmp_path))
    entries = await recorded(client)
    assert all(name in b"".join(rows(entries)) for name in names)
    assert verify_chains(entries).whole


@pytest.mark.parametrize("method", ["check_restart", "sweep", "recover"])
async def test_tending_goes_on_after_an_exception_that_nobody_thought_of(
    redis_server: Any,
    client: Redis,
    tmp_path: Path,
    decide: Decide,
    eventually: Eventually,
    method: str,
) -> None:
    """Without it the spool would never be emptied again."""
    loops = Loops()
    timing = Timing(retry=0.01, check=0.01, sweep=0.01)
    pen = LedgerWriter(
        client, writer="w", spool_dir=tmp_path, clock=time.time, timing=timing, loops=loops
    )
    does = getattr(pen._output, method)

    async def once_odd() -> None:
        setattr(pen._output, method, does)
        raise KeyError("run_id")

    setattr(pen._output, method, once_odd)
    async with pen:
        redis_server.kill()
        batch = decide(2)
        assert (await pen.append(batch)).spooled
        await eventually(lambda: method != "recover" or loops.failures()["ledger tending"])
        redis_server.start()
        await eventually(lambda: pen.spooled_entries == 0)
        await eventually(lambda: getattr(pen._output, method) == does)
        await pen.append(decide(1))
    assert rows(await recorded(client)) >= {decision.row for decision in batch}


async def test_a_cancellation_that_a_library_lets_out_does_not_end_the_flushing(
    client: Redis, tmp_path: Path, decide: Decide
) -> None:
    async with writer(client, tmp_path) as pen:
        put = pen._output.put

        async def once_cancelled(_: list[bytes], __: float | None = None) -> list[str | None]:
            pen._output.put = put  # type: ignore[method-assign] # put back
            raise asyncio.CancelledError

        pen._output.put = once_cancelled  # type: ignore[method-assign,assignment] # what redis-py may do
        with pytest.raises(LedgerUnavailableError):
            await pen.append(decide(1))
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert not (await pen.append(decide(1))).spooled
