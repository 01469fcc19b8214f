"""Looks decisions up by their ids, in an archive of millions, through the platform's API.

    python -m benchmarks.speed.decisions fill --home HOME --decisions 10000000
    python -m benchmarks.speed.decisions queries --home HOME
    python -m benchmarks.speed.decisions costs --home HOME
    BALLAST_HOME=HOME ballast up --detach
    python -m benchmarks.speed.decisions ask --home HOME --url URL --clients 24 --seconds 30
    python -m benchmarks.speed.decisions ask --home HOME --url URL --rate 1000 --seconds 30

All but `ask` open the folder themselves, so the platform must not run on it then. The rows are as
large as the tail family's. Which ids are asked is drawn over the whole archive. `costs` counts the
processor's time in the gateway and in the history (`lookup_costs.py`).
"""

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.speed.lookup_costs import costs
from benchmarks.speed.openloop import fixed_arrivals, send_at
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.archive import Archive
from observability.schema import create_tables

Find = Callable[[Sequence[str]], dict[str, bytes]]

CHUNK = 1_000_000
SAMPLED = 50_000
IDS_FILE = "decisions-ids.txt"
# 2024-01-01: before anything that the platform itself writes. One decision each 7 ms.
FIRST_MS, STEP_MS = 1_704_067_200_000, 7

_ID = f"""
lower(hex(toUInt64({FIRST_MS} + number * {STEP_MS}))) AS stamp,
leftPad(stamp, 12, '0') AS ms,
lower(hex(sipHash64(number))) AS noise,
concat(substring(ms, -12, 8), '-', substring(ms, -4), '-7', substring(noise, 1, 3),
       '-8', substring(noise, 4, 3), '-', leftPad(substring(noise, 5, 12), 12, '0')) AS id
"""

# 1,400 bytes, of which the digests cannot be compressed.
_FILL = f"""
INSERT INTO decisions (created, writer, seq, leaf, row)
WITH {_ID}
SELECT fromUnixTimestamp64Milli(toInt64({FIRST_MS} + number * {STEP_MS})),
       concat('bench-', toString(number % 4)), intDiv(number, 64), number % 64,
       concat('{{"timestamp":"2024-01-01T00:00:00.000Z","decision_id":"', id,
              '","endpoint":"/models/tail-slo","family":"tail","entity":"order-gateway",',
              '"model_version":"1.0.0","config_version":1,"answer":"',
              hex(SHA256(toString(number))), hex(SHA256(toString(number + 1))),
              hex(SHA256(toString(number + 2))), repeat(' ', 900), '"}}')
FROM numbers({{first:UInt64}}, {{count:UInt64}})
"""  # noqa: S608 - the bench's own constants


def fill(home: Path, decisions: int) -> None:
    with EmbeddedClickhouse(home / "history") as store:
        create_tables(store)
        started = time.monotonic()
        for first in range(0, decisions, CHUNK):
            count = min(CHUNK, decisions - first)
            store.query(_FILL, {"first": first, "count": count})
            print(f"{first + count:>12,} decisions, {time.monotonic() - started:.0f} s", flush=True)
        archive = Archive(store)
        while archive.fill_rows_by_id():  # as the history does after an update
            continue
        print(f"{'copied by their ids':>23}, {time.monotonic() - started:.0f} s", flush=True)
        drawn = sorted(random.Random(7).sample(range(decisions), min(SAMPLED, decisions)))  # noqa: S311 - a bench's dice
        found = store.query(
            f"WITH {_ID} SELECT id FROM (SELECT arrayJoin({{drawn:Array(UInt64)}}) AS number)",  # noqa: S608 - as above
            {"drawn": drawn},
        )
        ids = [row["id"] if isinstance(row["id"], str) else row["id"].decode() for row in found]
        (home / IDS_FILE).write_text("\n".join(ids) + "\n")
        (size,) = store.query(
            "SELECT count() AS parts, sum(rows) AS n, sum(bytes_on_disk) AS bytes, "
            "sum(marks) AS marks FROM system.parts WHERE active AND table = 'decisions'"
        )
        print(
            f"{size['n']:,} rows in {size['parts']} parts, {size['marks']:,} marks, "
            f"{size['bytes'] / 2**20:,.0f} MB on the disk"
        )


def queries(home: Path) -> None:
    """Time the archive's own queries, for so many ids at once: by the copy, and by the table."""
    ids = (home / IDS_FILE).read_text().split()
    with EmbeddedClickhouse(home / "history") as store:
        archive = Archive(store)
        for way, find in (("copy", archive.rows), ("table", archive.rows_of_table)):
            for together in (1, 12, 24, 64):
                _time(way, find, ids, together)


def _time(way: str, find: Find, ids: Sequence[str], together: int) -> None:
    dice = random.Random(1)  # noqa: S311 - a bench's dice
    took = []
    for _ in range(max(1200 // together, 40)):
        asked = dice.sample(ids, together)
        started = time.perf_counter()
        found = find(asked)
        took.append(time.perf_counter() - started)
        if len(found) != together:
            sys.exit(f"{together - len(found)} of {together} decisions were not found")
    took.sort()
    print(
        f"{way:>5}, {together:>3} ids: fastest {took[0] * 1000:6.2f} ms, "
        f"median {statistics.median(took) * 1000:6.2f} ms, "
        f"p99 {took[int(len(took) * 0.99)] * 1000:6.2f} ms, "
        f"{together / statistics.mean(took):8,.0f} decisions a second"
    )


SCRIPT = """
local ids, at = {}, 0
for line in io.lines("%s") do ids[#ids + 1] = line end
function init(args) math.randomseed(%d) end
function request()
  return wrk.format("GET", "/decisions/" .. ids[math.random(#ids)])
end
function done(summary, latency, requests)
  io.write(string.format("answered %%d, not 2xx %%d, socket errors %%d\\n", summary.requests,
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout))
  io.write(string.format("%%.0f a second; p50 %%.1f ms, p99 %%.1f ms, p99.9 %%.1f ms\\n",
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3))
end
"""


def ask(home: Path, url: str, clients: int, seconds: int) -> None:
    wrk = shutil.which("wrk")
    if wrk is None:
        sys.exit("wrk is missing: `make install-system` installs it")
    key = (home / "admin.key").read_text().strip()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % (home / IDS_FILE, clients))
        script.flush()
        load = ["-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "20s"]
        header = ["-H", f"X-API-Key: {key}"]
        subprocess.run([wrk, *load, "-s", script.name, *header, url], check=True)


def ask_at(home: Path, url: str, rate: int, seconds: int) -> None:
    """Ask at a fixed rate, however long the answers take."""
    key, ids = (home / "admin.key").read_text().strip(), (home / IDS_FILE).read_text().split()
    head = f"Host: {urlsplit(url).netloc}\r\nX-API-Key: {key}\r\n\r\n"
    drawn = random.Random(rate).sample(ids, len(ids))  # noqa: S311 - a bench's dice
    requests = [f"GET /decisions/{each} HTTP/1.1\r\n{head}".encode() for each in drawn]
    found = send_at(fixed_arrivals(rate, seconds), url, requests)
    print(
        f"{rate} a second offered: {found.ok} of {found.offered} answered; "
        f"p50 {found.p50_ms:.1f} ms, p99 {found.p99_ms:.1f} ms, p99.9 {found.p999_ms:.1f} ms "
        f"(of these the client's own {found.late_p50_ms:.1f} and {found.late_p99_ms:.1f} ms)"
    )


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("fill", "queries", "costs", "ask"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--decisions", type=int, default=10_000_000)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--rate", type=int, help="a second, whatever the answers take")
    parser.add_argument("--seconds", type=int, default=30)
    plan = parser.parse_args(arguments)
    match plan.what:
        case "fill":
            fill(plan.home, plan.decisions)
        case "queries":
            queries(plan.home)
        case "costs":
            costs(plan.home, (plan.home / IDS_FILE).read_text().split())
        case "ask" if plan.rate:
            ask_at(plan.home, plan.url, plan.rate, plan.seconds)
        case "ask":
            ask(plan.home, plan.url, plan.clients, plan.seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
