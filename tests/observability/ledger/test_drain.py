"""The drain between a real Redis and a real ClickHouse engine."""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from observability.background import Loops
from observability.clickhouse import Clickhouse, Column
from observability.errors import ClickhouseUnavailableError, QueryRejectedError
from observability.ledger import drain as drain_module
from observability.ledger.archive import Archive
from observability.ledger.audit import audit
from observability.ledger.decision import Decision
from observability.ledger.drain import CHUNK, Drain
from observability.ledger.entry import NO_HASH, Header, encode, hash_of, seal
from observability.ledger.stream import LedgerStream, Message, readable
from observability.ledger.writer import LedgerWriter, Timing
from settings.redis_connection import REDIS_AWAY
from tests.waiting import PATIENCE_SECONDS

# A busy machine is no Redis that is away.
PATIENT = Timing(timeout=PATIENCE_SECONDS)
Decide = Callable[..., list[Decision]]
Eventually = Callable[..., Awaitable[None]]


async def write(client: Redis, folder: Path, *batches: list[Decision], writer: str = "w") -> None:
    async with LedgerWriter(
        client, writer=writer, spool_dir=folder, clock=time.time, timing=PATIENT
    ) as pen:
        for batch in batches:
            await pen.append(batch)


async def messages(client: Redis, stream: str) -> list[Message]:
    return await LedgerStream(client, name=stream).read(None, 100)


def stored(store: Clickhouse) -> list[dict[str, Any]]:
    return store.query("SELECT * FROM decisions FINAL ORDER BY writer, seq, leaf")


def count(store: Clickhouse, table: str) -> tuple[int, int]:
    """Rows as an analyst counts them, and as they lie on the disk."""
    (final,) = store.query("SELECT count() AS n FROM {t:Identifier} FINAL", {"t": table})
    (raw,) = store.query("SELECT count() AS n FROM {t:Identifier}", {"t": table})
    return final["n"], raw["n"]


async def exhaust(drain: Drain) -> None:
    """Let the drain go on until nothing is left for it."""
    while await drain.step():
        pass


class Killed(BaseException):
    """The process ends here."""


class KilledAt:
    """The engine, in a process that is killed at its n-th insert: before it, or just after it."""

    def __init__(self, store: Clickhouse, nth: int, *, after: bool) -> None:
        self._store = store
        self._left = nth
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def insert(self, table: str, columns: Mapping[str, Column]) -> None:
        self._left -= 1
        if self._left or self._after:
            self._store.insert(table, columns)
        if not self._left:
            raise Killed


async def test_every_row_arrives_as_it_was_hashed(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    batches = [decide(3, config_version=14, model_version="1.2.0"), decide(2, note='é "\\ \n')]
    await write(client, tmp_path, *batches)
    assert await Drain(client, store).step() == 3
    found = stored(store)
    assert [row["row"].encode() for row in found] == [d.row for batch in batches for d in batch]
    assert [row["decision_id"] for row in found] == [d.decision_id for b in batches for d in b]
    assert [(row["writer"], row["seq"], row["leaf"]) for row in found] == [
        ("w", 1, 0), ("w", 1, 1), ("w", 1, 2), ("w", 2, 0), ("w", 2, 1),
    ]  # fmt: skip
    first = found[0]
    assert (first["endpoint"], first["entity"], first["family"], first["model_version"]) == (
        "/models/tail-slo", "orders", "tail", "1.2.0",
    )  # fmt: skip
    assert first["config_version"] == 14
    assert abs(first["created"].timestamp() - time.time()) < 10
    assert count(store, "ledger_entries") == (3, 3)


@pytest.mark.parametrize("model_version", [None, 3, {"a": 1}])
async def test_a_field_that_is_missing_or_odd_spoils_no_other(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide, model_version: object
) -> None:
    await write(client, tmp_path, decide(1, model_version=model_version), decide(1))
    await Drain(client, store).step()
    for row in stored(store):
        assert len(row["decision_id"]) == 36
        assert (row["entity"], row["family"]) == ("orders", "tail")
        assert row["config_version"] == 0


async def test_a_second_drain_finds_nothing_to_add(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, decide(3))
    for _ in range(3):
        await Drain(client, store).step()
    assert count(store, "decisions") == (3, 3)
    assert count(store, "ledger_entries") == (2, 2)


async def test_a_message_that_came_twice_is_stored_once(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, decide(3), decide(2))
    for message in await messages(client, "ballast:ledger"):
        await client.xadd("ballast:ledger", {"e": message.data})
    await Drain(client, store).step()
    assert count(store, "decisions") == (5, 5)
    assert count(store, "ledger_entries") == (3, 3)


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("after", [False, True])
async def test_killed_anywhere_it_counts_nothing_twice(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide, nth: int, after: bool
) -> None:
    batches = [decide(3), decide(2)]
    await write(client, tmp_path, *batches)
    with pytest.raises(Killed):
        await Drain(client, KilledAt(store, nth, after=after), margin_s=0).step()
    assert await client.xlen("ballast:ledger") == 3
    await Drain(client, store, margin_s=0).step()
    assert count(store, "decisions")[0] == 5
    assert count(store, "ledger_entries")[0] == 3
    assert (await audit(client, store, pinned={})).whole


async def written_earlier(client: Any, seconds: int) -> None:
    """Have what is in the stream be so much older: Redis dates a message by its id."""
    found = await client.xrange("ballast:ledger")
    await client.delete("ballast:ledger")
    for message_id, fields in found:
        ms, number = message_id.decode().split("-")
        await client.xadd("ballast:ledger", fields, id=f"{int(ms) - 1000 * seconds}-{number}")


async def test_only_what_is_stored_and_older_than_the_margin_is_trimmed(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, decide(1))
    drain = Drain(client, store, margin_s=1800)
    await drain.step()
    assert await client.xlen("ballast:ledger") == 2
    await written_earlier(client, 3600)
    await write(client, tmp_path, decide(1), writer="v")
    assert await drain.step() == 2
    assert await client.xlen("ballast:ledger") == 2
    assert count(store, "decisions") == (2, 2)


async def test_what_is_not_drained_stays_however_old(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, *[decide(1) for _ in range(CHUNK + 10)])
    drain = Drain(client, store, margin_s=-3600)  # everything is older than this
    assert await drain.step() == CHUNK
    assert await client.xlen("ballast:ledger") == 12  # the last one drained, and 11 that were not
    assert await drain.step() == 11
    assert count(store, "decisions") == (CHUNK + 10, CHUNK + 10)


async def test_large_messages_are_read_a_few_at_a_time(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    """Redis answers nobody while it copies out what was asked for."""
    await write(client, tmp_path, *[decide(300) for _ in range(20)])
    await client.config_resetstat()
    assert await Drain(client, store).step() == 21
    asked = (await client.info("commandstats"))["cmdstat_xrange"]["calls"]
    assert asked >= 4


async def test_a_redis_that_begins_again_is_drained_from_its_beginning(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    """Its ids may be lower than those already read, when its clock was set back."""
    await write(client, tmp_path, decide(1))
    genesis, _ = await messages(client, "ballast:ledger")
    await client.xadd("ballast:ledger", {"e": genesis.data}, id="99999999999999-0")
    drain = Drain(client, store)
    await drain.step()
    await client.delete("ballast:ledger")
    await write(client, tmp_path, decide(2), writer="v")
    assert await drain.step() == 0
    assert await drain.step() == 2
    assert count(store, "decisions") == (3, 3)


async def test_what_cannot_be_read_is_set_aside_and_holds_up_nothing(
    client: Redis,
    store: Clickhouse,
    tmp_path: Path,
    decide: Decide,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await client.xadd("ballast:ledger", {"e": b"no entry"})
    await client.xadd("ballast:ledger", {"other": b"field"})
    await write(client, tmp_path, decide(1))
    await Drain(client, store).step()
    assert count(store, "decisions") == (1, 1)
    aside = await messages(client, "ballast:ledger:damaged")
    assert [message.data for message in aside] == [b"no entry", b""]
    assert "cannot be read" in caplog.text


async def test_it_runs_on_while_clickhouse_or_redis_is_away(
    redis_server: Any,
    client: Redis,
    store: Clickhouse,
    tmp_path: Path,
    decide: Decide,
    eventually: Eventually,
) -> None:
    class Away:
        def __init__(self) -> None:
            self.refusals = 3

        def __getattr__(self, name: str) -> Any:
            if self.refusals:
                self.refusals -= 1
                raise ClickhouseUnavailableError("away")
            return getattr(store, name)

    await write(client, tmp_path, decide(1))
    loops = Loops()
    drain = Drain(client, Away())
    expected = (*REDIS_AWAY, ClickhouseUnavailableError)
    loops.start("drain", drain.go_on, lambda: 0.02, expected=expected)
    await eventually(lambda: count(store, "decisions")[0] == 1)
    assert loops.failures()["drain"] == 3
    redis_server.kill()
    await eventually(lambda: loops.failures()["drain"] > 3)
    redis_server.start()
    await write(client, tmp_path, decide(1), writer="v")
    await eventually(lambda: count(store, "decisions")[0] == 2)
    await loops.stop()


@pytest.mark.parametrize("error", [ValueError("odd"), KeyError("k"), RuntimeError("chDB")])
async def test_it_runs_on_after_an_exception_that_nobody_thought_of(
    client: Redis,
    store: Clickhouse,
    tmp_path: Path,
    decide: Decide,
    eventually: Eventually,
    error: Exception,
) -> None:
    class Odd:
        def __init__(self) -> None:
            self.raises = True

        def __getattr__(self, name: str) -> Any:
            if self.raises:
                self.raises = False
                raise error
            return getattr(store, name)

    await write(client, tmp_path, decide(1))
    loops = Loops()
    loops.start("drain", Drain(client, Odd()).go_on, lambda: 0.02)
    await eventually(lambda: count(store, "decisions")[0] == 1)
    await loops.stop()


def poison(writer: str = "poison") -> bytes:
    """Make an entry that can be read, and whose time no column can hold."""
    sealed = seal([Decision("x", b'{"decision_id":"x"}')])
    header = Header(writer, 1, 2**64 - 1, 1)
    return encode(header, NO_HASH, hash_of(NO_HASH, header, sealed.root), sealed.body)


async def test_the_neighbours_of_an_entry_that_cannot_be_stored_go_on(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    letters = 0

    def count_letter() -> None:
        nonlocal letters
        letters += 1

    await write(client, tmp_path, *[decide(1) for _ in range(40)], writer="before")
    for at in range(2):
        await client.xadd("ballast:ledger", {"e": poison(f"poison-{at}")})
    await write(client, tmp_path, *[decide(1) for _ in range(40)], writer="behind")
    drain = Drain(client, store, on_dead_letter=count_letter)
    assert await drain.step() == 84
    assert count(store, "decisions") == (80, 80)
    assert letters == 2
    kept: Any = await client.xrange("ballast:ledger:damaged")
    assert [fields[b"e"] for _, fields in kept] == [poison(f"poison-{at}") for at in range(2)]
    assert b"cannot be stored" in kept[0][1][b"why"]
    # A drain that was killed before it trimmed reads all of them again.
    await Drain(client, store, on_dead_letter=count_letter).step()
    assert (await client.xlen("ballast:ledger:damaged"), letters) == (2, 2)


async def test_an_entry_behind_which_nothing_was_stored_yet_stays_in_the_stream(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    """It may be the store's fault, as where its disk is full."""
    await write(client, tmp_path, decide(1))
    await client.xadd("ballast:ledger", {"e": poison()})
    drain = Drain(client, store, margin_s=-3600)
    assert await drain.step() == 2
    with pytest.raises(OverflowError):
        await drain.step()
    assert await client.xlen("ballast:ledger:damaged") == 0
    assert poison() in [message.data for message in await messages(client, "ballast:ledger")]
    await write(client, tmp_path, decide(1), writer="v")
    assert await drain.step() == 3
    assert await client.xlen("ballast:ledger:damaged") == 1
    assert count(store, "decisions") == (2, 2)


@pytest.mark.parametrize("bad", [9, 35])
async def test_many_in_a_row_that_cannot_be_stored_hold_up_nothing(
    client: Redis,
    store: Clickhouse,
    tmp_path: Path,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
    bad: int,
) -> None:
    """What the engine takes of later ones shows that it is not at fault."""
    monkeypatch.setattr(drain_module, "CHUNK", 16)
    letters = [poison(f"poison-{at}") for at in range(bad)]
    for letter in letters:
        await client.xadd("ballast:ledger", {"e": letter})
    drain, written = Drain(client, store), 0
    while await client.xlen("ballast:ledger:damaged") < bad:
        assert written < bad, "nothing goes on"
        written += 1
        await write(client, tmp_path, decide(1), writer=f"v-{written}")
        with suppress(OverflowError):
            await exhaust(drain)
    assert count(store, "decisions") == (written, written)
    kept: Any = await client.xrange("ballast:ledger:damaged")
    assert [fields[b"e"] for _, fields in kept] == letters


async def test_later_ones_that_were_stored_already_show_nothing(
    client: Redis,
    store: Clickhouse,
    tmp_path: Path,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drain_module, "CHUNK", 16)
    for at in range(16):
        await client.xadd("ballast:ledger", {"e": poison(f"poison-{at}")})
    await write(client, tmp_path, decide(1))
    stream = LedgerStream(client, name="ballast:ledger")
    later = [readable(each) async for each in stream.newest_first(2)][:2]
    assert Archive(store).add([each for each in later if each is not None]) == [0, 1]
    with pytest.raises(OverflowError):
        await Drain(client, store).step()
    assert await client.xlen("ballast:ledger:damaged") == 0


class Full:
    """The engine with a disk on which no decisions find room."""

    def __init__(self, store: Clickhouse, *tables: str) -> None:
        self._store = store
        self._tables = tables
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def insert(self, table: str, columns: Mapping[str, Column]) -> None:
        self.calls += 1
        if table in self._tables:
            raise QueryRejectedError("Cannot reserve 1.00 MiB, not enough space")
        self._store.insert(table, columns)


async def test_a_store_that_refuses_everything_makes_no_dead_letters(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, *[decide(1) for _ in range(300)])
    full = Full(store, "decisions", "ledger_entries")
    with pytest.raises(QueryRejectedError, match="not enough space"):
        await Drain(client, full).step()
    assert full.calls < 40
    assert await client.xlen("ballast:ledger") == 301
    assert await client.xlen("ballast:ledger:damaged") == 0


@pytest.mark.parametrize("behind", ["stored before", "without decisions"])
async def test_what_a_failing_store_need_not_write_makes_no_dead_letter_of_a_good_entry(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide, behind: str
) -> None:
    """A link without rows goes into another table than the decisions."""
    await write(client, tmp_path, decide(1))
    await write(client, tmp_path, decide(1), writer="v")  # begins with a link without decisions
    if behind == "stored before":
        later = [readable(each) for each in (await messages(client, "ballast:ledger"))[2:]]
        assert Archive(store).add([each for each in later if each is not None]) == [0, 1]
    drain = Drain(client, Full(store, "decisions"))
    with pytest.raises(QueryRejectedError, match="not enough space"):
        await exhaust(drain)
    assert await client.xlen("ballast:ledger:damaged") == 0
    await Drain(client, store).step()  # there is room again
    assert count(store, "decisions") == (2, 2)


@pytest.mark.parametrize("bad", [1, 20])
async def test_a_drain_that_begins_anew_is_done_with_the_dead_letters_that_are_kept(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide, bad: int
) -> None:
    """Nothing may come behind them for long; what comes is to be stored, and they to be trimmed."""
    letters = [poison(f"poison-{at}") for at in range(bad)]
    for letter in letters:
        await client.xadd("ballast:ledger", {"e": letter})
    await write(client, tmp_path, *[decide(1) for _ in range(bad)])
    await exhaust(Drain(client, store))
    assert await client.xlen("ballast:ledger:damaged") == bad
    await exhaust(Drain(client, store, margin_s=-3600))
    assert len(await messages(client, "ballast:ledger")) == 1
    assert await client.xlen("ballast:ledger:damaged") == bad
    assert count(store, "decisions") == (bad, bad)


async def test_a_full_redis_is_emptied(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, decide(1), decide(1))
    drain = Drain(client, store, margin_s=-3600)
    await client.config_set("maxmemory-policy", "noeviction")
    await client.config_set("maxmemory", 1)
    try:
        with pytest.raises(REDIS_AWAY):
            await drain.step()
        assert len(await messages(client, "ballast:ledger")) <= 1
        assert count(store, "decisions") == (2, 2)
    finally:
        await client.config_set("maxmemory", 0)


async def test_a_full_redis_is_emptied_behind_a_message_that_cannot_be_read_too(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, decide(1))
    await client.xadd("ballast:ledger", {"e": b"no entry"})
    await write(client, tmp_path, decide(1), decide(1), writer="v")
    drain = Drain(client, store, margin_s=-3600)
    await client.config_set("maxmemory-policy", "noeviction")
    await client.config_set("maxmemory", 1)
    try:
        with pytest.raises(OutOfMemoryError):
            await drain.step()  # it cannot note how far it came
        assert len(await messages(client, "ballast:ledger")) <= 1
        assert count(store, "decisions") == (3, 3)
        letters = await messages(client, "ballast:ledger:damaged")
        assert [letter.data for letter in letters] == [b"no entry"]
    finally:
        await client.config_set("maxmemory", 0)
