"""Posted lines of logs: from the stream to rows, as files of the same lines give them."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from redis.asyncio import Redis

from config_store.sources import PostedLogsSource
from deployments.telemetry.building import lines_source
from deployments.telemetry.followed import Stretch
from deployments.telemetry.written import WrittenSource
from features.sources.logs.batch import encode
from features.sources.logs.config import LineRules, LogRules
from features.sources.logs.posted import BodyLines, identity_of
from features.sources.logs.stream import ArrivedLines, LineStream
from features.sources.logs.trial import read_once
from features.sources.logs.windows import CATCH_UP_SECONDS
from features.sources.source import Gathered, Happened
from features.telemetry.columns import Telemetry

RULES: dict[str, Any] = {
    "entity_field": "service",
    "time": {"field": "at", "format": "s"},
    "latency": {"field": "ms"},
    "patterns": [
        {"kind": "error", "where": [{"field": "status", "at_least": 500}]},
        {"kind": "deploy", "where": [{"field": "message", "matches": "^deployed"}]},
        {"kind": "restart", "where": [{"field": "message", "equals": "listening"}]},
    ],
}
SOURCE = PostedLogsSource(lines=LineRules.model_validate(RULES))
# Three whole minutes, which ended just now.
END = int(time.time()) // 60 * 60
BEGIN = END - 180


class KilledError(Exception):
    """The platform dies here."""


class Rows:
    """Keeps rows where the store would; what is newest there is where a source goes on."""

    def __init__(self) -> None:
        self.parts: list[Telemetry] = []
        self.events: set[Happened] = set()
        self.dies = ""

    async def stretch(self) -> Stretch:
        times = [int(ts) for part in self.parts for ts in part.ts]
        return Stretch(min(times, default=None), max(times, default=None))

    def within_limit(self, gathered: Gathered) -> Gathered:
        return gathered

    async def take_in(self, gathered: Gathered, *, newest: bool) -> None:
        assert newest
        dies, self.dies = self.dies, ""
        self.events |= set(gathered.events)
        if dies == "before":
            raise KilledError
        self.parts.append(gathered.telemetry)
        if dies == "after":
            raise KilledError

    def all(self) -> Telemetry:
        return ordered(Telemetry.concat(self.parts))


def ordered(rows: Telemetry) -> Telemetry:
    return rows.rows(np.lexsort((rows.entity, rows.ts)))


def lines(count: int = 600) -> list[bytes]:
    """Draw lines of some services, in no order; some can be read by nobody."""
    drawn = np.random.default_rng(7)
    found = [
        orjson.dumps(
            {
                "at": BEGIN + drawn.random() * 180,
                "service": str(drawn.choice(["orders", "cart", "mail"])),
                "ms": float(drawn.lognormal(3, 1)),
                "status": int(drawn.choice([200, 200, 200, 503])),
            }
        )
        for _ in range(count)
    ]
    for message, at in (("deployed v2", 70), ("listening", 75), ("listening", 76)):
        line = {"at": BEGIN + at, "service": "orders", "message": message}
        found.append(orjson.dumps(line))
    return [*found, b"no JSON, and a secret", b"", b'{"service": "orders"}']


def entry(body: bytes, key: str = "", now: float | None = None) -> bytes:
    reading = BodyLines(SOURCE.lines, SOURCE.cadence_seconds, time.time() if now is None else now)
    for _ in reading.steps(body):
        pass
    return encode(reading.batch(identity_of(body, key)))


def written(stream: LineStream, rows: Rows, later: float = 60.0) -> WrittenSource[ArrivedLines]:
    return lines_source(SOURCE, stream, rows, lambda: time.time() + later)  # type: ignore[arg-type] # it stands in a place's place


async def work(source: WrittenSource[ArrivedLines]) -> None:
    while await source.step():
        continue


async def of_files(folder: Path, everything: list[bytes]) -> Gathered:
    (folder / "app.log").write_bytes(b"".join(each + b"\n" for each in everything))
    rules = LogRules.model_validate(RULES | {"paths": [str(folder / "app.log")]})
    return await read_once(
        "files",
        rules,
        start=BEGIN,
        stop=END,
        now=END + 60.0,
        cadence_seconds=60,
        lateness_seconds=5,
        past_mb=64,
    )


def assert_equal(found: Telemetry, expected: Telemetry) -> None:
    expected = ordered(expected)
    for name, column in expected.columns().items():
        np.testing.assert_array_equal(found.columns()[name], column, err_msg=name, strict=True)


@pytest.mark.parametrize("dies", ["", "before", "after"])
async def test_the_same_lines_give_the_same_numbers_as_files(
    redis: Redis, tmp_path: Path, dies: str
) -> None:
    everything = lines()
    expected = await of_files(tmp_path, everything)
    stream, rows = LineStream(redis, "posted"), Rows()
    for at in range(0, len(everything), 50):
        await stream.add(entry(b"\n".join(everything[at : at + 50])))
    rows.dies = dies
    source = written(stream, rows)
    with suppress(KilledError):
        await work(source)
    if dies:
        source = written(stream, rows)
        await work(source)
    assert len(expected.telemetry) == 9
    assert_equal(rows.all(), expected.telemetry)
    assert rows.events == set(expected.events) == {Happened("restart", BEGIN + 75, "orders", 2)}
    assert (await stream.held()).entries == 0
    assert {each.fault: each.count for each in source.complaints} == {
        each.fault: each.count for each in expected.complaints
    }
    assert "secret" not in str(source.complaints)


async def test_a_body_that_is_sent_again_counts_once(redis: Redis) -> None:
    stream, rows = LineStream(redis, "posted"), Rows()
    body = b"".join(b'{"at": %d, "service": "orders", "ms": 1}\n' % (BEGIN + n) for n in range(6))
    for key in ("", "", "mine", "mine"):
        await stream.add(entry(body, key))
    source = written(stream, rows)
    await work(source)
    assert rows.all().request_rate.tolist() == [12 / 60]
    # By now all of it is stored and forgotten.
    await stream.add(entry(body))
    await work(source)
    await work(written(stream, rows))
    assert rows.all().request_rate.tolist() == [12 / 60]
    assert (await stream.held()).entries == 0


async def test_an_interval_that_comes_late_waits_for_the_rest_of_it(redis: Redis) -> None:
    stream, rows = LineStream(redis, "posted"), Rows()
    await stream.add(entry(b'{"at": %d, "service": "orders", "ms": 1}' % BEGIN))
    early = written(stream, rows, later=CATCH_UP_SECONDS / 2)
    await work(early)
    assert rows.parts == []
    await stream.add(entry(b'{"at": %d, "service": "orders", "ms": 2}' % (BEGIN + 1)))
    await work(written(stream, rows))
    assert rows.all().request_rate.tolist() == [2 / 60]
    assert rows.all().p999_ms.tolist() == [2.0]


async def test_an_interval_of_now_is_not_finished_before_its_end(redis: Redis) -> None:
    stream, rows = LineStream(redis, "posted"), Rows()
    await stream.add(entry(b'{"at": %d, "service": "orders", "ms": 1}' % (time.time() + 60)))
    await work(written(stream, rows, later=59.0))
    assert rows.parts == []
    assert (await stream.held()).entries == 1
    await work(written(stream, rows, later=190.0))
    assert rows.all().request_rate.tolist() == [1 / 60]


async def test_an_entry_that_cannot_be_read_is_passed_over(redis: Redis) -> None:
    stream, rows = LineStream(redis, "posted"), Rows()
    good = entry(b'{"at": %d, "service": "orders", "ms": 1}' % BEGIN)
    for each in (b"", b"\x02", good[:20], good[:-3], good):
        await stream.add(each)
    await work(written(stream, rows))
    assert rows.all().request_rate.tolist() == [1 / 60]
    assert (await stream.held()).entries == 0
