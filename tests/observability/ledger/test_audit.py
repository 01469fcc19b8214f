import asyncio
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.ledger import archive, noted_heads, undrained
from observability.ledger import entry as ledger_entry
from observability.ledger import stream as stream_module
from observability.ledger.audit import audit, audit_and_note
from observability.ledger.decision import Decision
from observability.ledger.drain import Drain
from observability.ledger.writer import LedgerWriter, Timing
from tests.waiting import PATIENCE_SECONDS

# A busy machine is no Redis that is away.
PATIENT = Timing(timeout=PATIENCE_SECONDS)
Decide = Callable[..., list[Decision]]
_INSERT = "INSERT INTO ledger_entries (writer, seq, created, rows, prev_hash, root, entry_hash)"
_LAST = "FROM ledger_entries WHERE seq = 3"


async def write(client: Redis, folder: Path, writer: str, *batches: list[Decision]) -> None:
    async with LedgerWriter(
        client, writer=writer, spool_dir=folder, clock=time.time, timing=PATIENT
    ) as pen:
        for batch in batches:
            await pen.append(batch)


async def test_a_ledger_is_whole_whatever_part_of_it_is_drained(
    client: Redis,
    store: Clickhouse,
    tmp_path: Path,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "WINDOW", 3)  # several windows to a chain
    await write(client, tmp_path, "a", *[decide(2) for _ in range(10)])
    await Drain(client, store).step()
    await write(client, tmp_path, "b", decide(1), decide(1))
    before = await audit(client, store, pinned={})
    await Drain(client, store, margin_s=-3600).step()
    after = await audit(client, store, pinned=before.heads)
    assert before.whole
    assert before == after
    assert (after.entries, after.rows) == (11 + 3, 20 + 2)


@pytest.mark.parametrize(
    ("forgery", "kind"),
    [
        ("ALTER TABLE decisions UPDATE row = concat(row, ' ') WHERE seq = 2", "altered"),
        ("ALTER TABLE decisions UPDATE row = unhex('ff') WHERE seq = 2 AND leaf = 0", "altered"),
        ("ALTER TABLE decisions DELETE WHERE seq = 2 AND leaf = 1", "altered"),
        ("ALTER TABLE ledger_entries DELETE WHERE seq = 2", "gap"),
        ("ALTER TABLE ledger_entries UPDATE created = created + 1 WHERE seq = 2", "altered"),
        ("ALTER TABLE ledger_entries UPDATE prev_hash = entry_hash WHERE seq = 2", "altered"),
        ("ALTER TABLE ledger_entries UPDATE prev_hash = 'none' WHERE seq = 2", "altered"),
        (f"{_INSERT} SELECT writer, 1e18, created, 0, root, root, root {_LAST}", "gap"),
        ("ALTER TABLE ledger_entries DELETE WHERE seq = 3", "truncated"),
        ("ALTER TABLE ledger_entries DELETE WHERE 1", "truncated"),
    ],
)
async def test_a_forgery_in_clickhouse_is_found(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide, forgery: str, kind: str
) -> None:
    await write(client, tmp_path, "a", *[decide(2) for _ in range(3)])
    await Drain(client, store).step()
    noted = (await audit(client, store, pinned={})).heads
    await client.delete("ballast:ledger")
    assert (await audit(client, store, pinned=noted)).whole
    store.execute(f"{forgery} SETTINGS mutations_sync = 1")
    found = await audit(client, store, pinned=noted)
    assert kind in {fault.kind for fault in found.faults}


async def test_a_message_that_is_no_entry_is_found_wherever_it_lies(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, "a", decide(1))
    await client.xadd("ballast:ledger", {b"e": b"torn"})
    in_the_stream = await audit(client, store, pinned={})
    await Drain(client, store).step()
    in_both = await audit(client, store, pinned={})
    await client.delete("ballast:ledger")
    among_the_dead_letters = await audit(client, store, pinned={})
    for found in (in_the_stream, in_both, among_the_dead_letters):
        assert [fault.kind for fault in found.faults] == ["damaged"]
        assert found.entries == 2


async def test_a_dead_letter_that_is_sound_leaves_no_gap(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, "a", decide(1), decide(1))
    messages: Any = await client.xrange("ballast:ledger")
    message = messages[1]
    await client.xdel("ballast:ledger", message[0])
    gone = await audit(client, store, pinned={})
    assert [fault.kind for fault in gone.faults] == ["gap"]
    await client.xadd("ballast:ledger:damaged", message[1])
    assert (await audit(client, store, pinned={})).whole


async def test_it_says_how_far_it_is(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, "a", decide(1), decide(1))
    await Drain(client, store).step()
    await client.delete("ballast:ledger")
    await write(client, tmp_path, "b", decide(1))
    heard: list[tuple[int, int]] = []
    await audit(client, store, pinned={}, progress=lambda *so_far: heard.append(so_far))
    assert heard == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


async def test_a_stream_that_nobody_drains_is_read_a_few_entries_at_a_time(
    client: Redis,
    store: Clickhouse,
    tmp_path: Path,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two writers by turns: what a chain needs next stands far apart in the stream."""
    ada, bob = (
        LedgerWriter(client, writer=name, spool_dir=tmp_path, clock=time.time, timing=PATIENT)
        for name in ("ada", "bob")
    )
    async with ada, bob:
        for pen in (ada, bob) * 20:
            await pen.append(decide(1))
    decoded, most = list[weakref.ref[ledger_entry.Entry]](), 0
    decode = ledger_entry.decode

    def decode_and_count(data: bytes) -> ledger_entry.Entry:
        nonlocal most
        found = decode(data)
        decoded.append(weakref.ref(found))
        most = max(most, sum(each() is not None for each in decoded))
        return found

    monkeypatch.setattr(stream_module, "decode", decode_and_count)
    monkeypatch.setattr(undrained, "PIECE", 4)
    found = await audit(client, store, pinned={})
    assert found.whole
    assert found.entries >= 40
    assert most <= 8


async def test_what_is_drained_between_the_two_readings_is_no_gap(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, "a", *[decide(2) for _ in range(10)])
    archive_ = archive.Archive(store)
    found = undrained.Undrained(client, archive_)
    await found.find()
    await Drain(client, store, margin_s=-3600).step()
    assert await client.xlen("ballast:ledger") == 1  # the last that was drained stays
    entries = found.entries(asyncio.get_running_loop())
    read = await asyncio.to_thread(list, entries)
    assert [each.header.seq for each in read] == list(range(11))
    assert all(each.intact for each in read)


async def test_what_was_drained_meanwhile_is_asked_for_many_at_a_time(
    client: Redis,
    store: Clickhouse,
    tmp_path: Path,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for writer in ("a", "b"):
        await write(client, tmp_path, writer, *[decide(1) for _ in range(undrained.PIECE)])
    found = undrained.Undrained(client, archive.Archive(store))
    await found.find()
    await Drain(client, store, margin_s=-3600).step()
    query, asked = store.query, list[Any]()

    def noted(*args: Any) -> Any:
        asked.append(args)
        return query(*args)

    monkeypatch.setattr(store, "query", noted)
    entries = found.entries(asyncio.get_running_loop())
    read = await asyncio.to_thread(list, entries)
    order = [(each.header.writer, each.header.seq) for each in read]
    assert order == [(writer, seq) for writer in "ab" for seq in range(undrained.PIECE + 1)]
    assert len(asked) <= 2 * (3 + 1)  # links and rows, of three pieces; one of them has two writers


def test_a_part_of_a_chain_is_no_longer_than_the_archive_reads_at_once() -> None:
    def position(writer: str, seq: int) -> undrained._Position:
        return undrained._Position(writer, seq, "ledger", f"{seq}-0")

    window = archive.WINDOW
    positions = [
        position("a", 3),
        position("a", 3),
        position("a", 2 + window),
        position("a", 3 + window),
    ]
    positions += [position("b", 10**9)]
    expected = [("a", 3, 2 + window), ("a", 3 + window, 3 + window), ("b", 10**9, 10**9)]
    assert list(undrained._windows(positions)) == expected


async def test_entries_that_are_nowhere_cost_no_walk_each_and_somebody_hears_of_them(
    client: Redis,
    store: Clickhouse,
    tmp_path: Path,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await write(client, tmp_path, "a", *[decide(1) for _ in range(20)])
    for _ in range(50):
        await client.xadd("ballast:ledger:damaged", {b"e": b"torn"})
    monkeypatch.setattr(undrained, "PIECE", 4)
    found = undrained.Undrained(client, archive.Archive(store))
    await found.find()
    await client.delete("ballast:ledger")
    await client.config_resetstat()
    heard: list[None] = []
    entries = found.entries(asyncio.get_running_loop(), lambda: heard.append(None))
    assert await asyncio.to_thread(list, entries) == []
    assert len(heard) == 6
    calls = (await client.info("commandstats"))["cmdstat_xrange"]["calls"]
    assert calls <= 21 + 6  # each entry, and for each four whether there are new dead letters


async def test_what_is_set_aside_between_the_two_readings_is_no_gap(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, "a", decide(1), decide(1))
    await client.xadd("ballast:ledger:damaged", {b"e": b"torn"})
    messages: Any = await client.xrange("ballast:ledger")
    found = undrained.Undrained(client, archive.Archive(store))
    await found.find()
    await client.xdel("ballast:ledger", messages[1][0])
    await client.xadd("ballast:ledger:damaged", messages[1][1])
    entries = found.entries(asyncio.get_running_loop())
    assert [each.header.seq for each in await asyncio.to_thread(list, entries)] == [0, 1, 2]


async def test_an_audit_can_be_ended_also_while_it_finds_nothing(
    client: Redis,
    store: Clickhouse,
    tmp_path: Path,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class EndedError(Exception):
        """Whoever had it made closes."""

    def end(_read: int, _of: int) -> None:
        raise EndedError

    find = undrained.Undrained.find

    async def find_and_lose(self: undrained.Undrained) -> None:
        await find(self)
        await client.delete("ballast:ledger")

    monkeypatch.setattr(undrained.Undrained, "find", find_and_lose)
    await write(client, tmp_path, "a", decide(1))
    with pytest.raises(EndedError):
        await audit(client, store, pinned={}, progress=end)


async def test_only_a_good_audit_is_what_the_next_one_goes_by(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, "a", *[decide(2) for _ in range(3)])
    await Drain(client, store).step()
    await client.delete("ballast:ledger")
    assert (await audit_and_note(client, store, _silent)).whole
    noted = await noted_heads.read(client)
    assert noted["a"].seq == 3
    store.execute("ALTER TABLE ledger_entries DELETE WHERE seq = 3 SETTINGS mutations_sync = 1")
    for _ in range(2):
        found = await audit_and_note(client, store, _silent)
        assert [each.kind for each in found.faults] == ["truncated"]
        assert await noted_heads.read(client) == noted
    await noted_heads.forget(client)
    assert (await audit_and_note(client, store, _silent)).whole


def _silent(_read: int, _of: int) -> None:
    """Hear how far it is and say nothing."""
