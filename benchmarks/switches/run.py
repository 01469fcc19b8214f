"""Switch the active version 1,000 times under load, on a platform of one's own: `make switches`.

    python -m benchmarks.switches.run --switches 1000

Each version can be told from the others by its policy, features and experiments. Every answer is
held against the version that it names, as the client has it and again as the ledger does. Exit code
1 when a promise was broken. What is started is ended.
"""

import argparse
import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import httpx
import orjson
from rich.console import Console

from access.keys import Role
from benchmarks.platform import ROOT, Platform, free_url
from benchmarks.switches.load import CLIENTS, Books, Load
from benchmarks.switches.promises import Promise, promises
from benchmarks.switches.switching import Operator, Switch, settle
from benchmarks.switches.versions import marked, mixed
from config_store.document import ConfigDocument
from config_store.running import RunningVersions
from config_store.steering.commands import Actor, Validated
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from settings.redis_connection import open_redis

HISTORY_DAYS = 14
# More than a replica keeps in memory, so that some are read anew.
VERSIONS = 24
BENCH = Actor("the bench", Role.OPERATOR)
ANSWER_SECONDS = 30.0
WARM_SECONDS = 120.0
IDS_A_QUERY = 5_000
STORED = "SELECT row FROM decisions WHERE decision_id IN {ids:Array(String)} LIMIT 1 BY decision_id"

Documents = dict[int, tuple[int, ConfigDocument]]  # by number, with its mark


class Measured:
    def __init__(self) -> None:
        self.documents: Documents = {}
        self.switches: list[Switch] = []
        self.books = Books()


async def measure(platform: Platform, times: int, console: Console) -> Measured:
    """Put load on it, and switch; the platform runs before and after."""
    redis = open_redis(f"unix://{platform.redis}")
    found = Measured()
    headers, limits = {"X-API-Key": platform.key}, httpx.Limits(max_connections=len(CLIENTS) + 4)
    try:
        found.documents = await _drafted(SteeringStore(redis), ConfigStore(redis))
        marks = {number: mark for number, (mark, _) in found.documents.items()}
        hashes = {number: each.config_hash for number, (_, each) in found.documents.items()}
        async with httpx.AsyncClient(
            base_url=platform.url, headers=headers, timeout=ANSWER_SECONDS, limits=limits
        ) as http:
            load = Load(http, marks, f"switches-{time.time_ns() // 1_000_000}")
            operator = Operator(http, load, RunningVersions(redis))
            tasks = load.start()
            try:
                numbers = sorted(found.documents)
                await operator.switch(numbers[:1], hashes, 1)  # into the marked ones
                await _warm(load)
                console.print(f"Under load, {len(numbers)} versions: {numbers[0]}-{numbers[-1]}.")
                load.books, operator.switches = Books(), []
                await operator.switch(numbers[1:] + numbers[:1], hashes, times)
            finally:
                load.stop()
                await asyncio.gather(*tasks)
            found.switches, found.books = operator.switches, load.books
    finally:
        await redis.aclose()
    return found


async def _drafted(steering: SteeringStore, configs: ConfigStore) -> Documents:
    """Write the versions as an operator's tool does that has checked them itself."""
    active = await configs.active()
    base, policy = active.document, (await steering.read()).versions[active.number].policy
    found: Documents = {}
    for mark in range(1, VERSIONS + 1):
        document = marked(base, mark)
        life = await steering.draft(document, f"mark {mark}", BENCH, time.time())
        # What differs in the policies is a mark: they count as the one that is in force.
        checked = Validated(life.number, life.content_hash, policy=policy)
        await steering.change(checked, BENCH, time.time())
        found[life.number] = (mark, document)
    return found


async def _warm(load: Load) -> None:
    """Wait for a hundred answers of models."""
    deadline, before = time.monotonic() + WARM_SECONDS, 0
    while time.monotonic() < deadline:
        fallbacks, answers = load.books.fallbacks, len(load.books.answers)
        if answers >= before + 100:
            return
        if fallbacks:
            load.books, before = Books(), 0
        await asyncio.sleep(0.1)


def mixed_rows(platform: Platform, found: Measured) -> tuple[list[str], int]:
    """Hold every row of the store against the version that it names; count those not there."""
    # It loads a large library, and only here.
    from observability.clickhouse.embedded import EmbeddedClickhouse  # noqa: PLC0415 - see above

    wrong: list[str] = []
    seen = 0
    store = EmbeddedClickhouse(platform.home / "history")
    try:
        ids = found.books.decisions
        for start in range(0, len(ids), IDS_A_QUERY):
            for each in store.query(STORED, {"ids": ids[start : start + IDS_A_QUERY]}):
                seen += 1
                row = orjson.loads(each["row"])
                number = row["config_version"]
                mark, document = found.documents[number]
                if not row["answer"]["safety"]["fallback"] and (
                    parts := mixed(row, document, mark, number)
                ):
                    wrong.append(f"{row['decision_id']} by {number}: {', '.join(parts)}")
    finally:
        store.close()
    return wrong, len(set(ids)) - seen


def main() -> int:
    options = _options()
    console = Console(highlight=False, width=160)
    platform = Platform(options.home.resolve(), free_url(), HISTORY_DAYS)
    began = time.monotonic()
    try:
        up = platform.up()
        if up.returncode != 0:
            raise SystemExit(up.stdout + up.stderr)
        console.print(f"Ready after {time.monotonic() - began:.0f} s.")
        found = asyncio.run(measure(platform, options.switches, console))
    finally:
        platform.down()
    strangers = settle(found.switches, found.books.answers)
    wrong, missing = mixed_rows(platform, found)
    kept = promises(found.switches, found.books, len(strangers), wrong, missing)
    _show(kept, found, console)
    _write(options.report, kept, found)
    return 0 if all(each.kept for each in kept) else 1


def _show(kept: Sequence[Promise], found: Measured, console: Console) -> None:
    for each in kept:
        verdict = "kept" if each.kept else "BROKEN"
        console.print(f"{verdict:<7}{each.name:<72}{each.found:>10.3g}  at most {each.allowed:g}")
        for example in each.examples[:3]:
            console.print(f"       {example}")
    reported = sorted(each.reported for each in found.switches if each.reported is not None)
    if reported:
        console.print(
            f"All replicas reported it after {reported[len(reported) // 2]:.2f} s (median) and "
            f"{reported[-1]:.2f} s at most, of {len(reported)} switches; they say it once a second."
        )
    books = found.books
    console.print(
        f"{books.sent:,} requests, {len(books.decisions):,} rows, {books.fallbacks:,} of them by a "
        f"fallback; {len(found.switches):,} switches, "
        f"{sum(each.rolled_back for each in found.switches):,} of them rollbacks."
    )


def _write(path: Path, kept: Sequence[Promise], found: Measured) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [
        asdict(each) | {"settled": each.settled if math.isfinite(each.settled) else None}
        for each in found.switches
    ]
    report = {
        "promises": [asdict(each) | {"kept": each.kept} for each in kept],
        "switches": shown,
        "requests": found.books.sent,
        "rows": len(found.books.decisions),
        "fallbacks": found.books.fallbacks,
    }
    path.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--switches", type=int, default=1000)
    parser.add_argument("--home", type=Path, default=ROOT / ".bench" / "switches-home")
    parser.add_argument("--report", type=Path, default=ROOT / ".bench" / "switches.json")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
