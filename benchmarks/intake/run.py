"""Write a fleet's series into a platform of one's own, and print what it bears: `make intake`.

    python -m benchmarks.intake.run                    100,000 series every 10 s: about 10 minutes
    python -m benchmarks.intake.run --series 300000    more of them
    python -m benchmarks.intake.run --minutes 10       longer

First the fleet writes at its pace, then as fast as it is let, then at its pace again: what is
refused when over, and whether everything is as before afterwards. Beside it somebody asks for tail
latencies all the while. Exit code 1 where a sample was lost or a scrape was late at the usual pace.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.abuse.victim import asks, new_key
from benchmarks.intake.bodies import MAPPING, Body, bodies_of_a_fleet
from benchmarks.intake.sender import USUAL_SHARDS, Sender, Sent
from benchmarks.intake.watched import taken
from benchmarks.platform import ROOT, Platform, eventually, free_url

SOURCE, CADENCE = "fleet", 60
HISTORY_DAYS = 14
# Twice as many as a gateway reads at once.
MANY_SHARDS = 64
Figures = dict[str, float | str]


class Stage(NamedTuple):
    name: str
    every_s: float  # 0: as fast as the writes are taken
    shards: int
    seconds: float


def measure(platform: Platform, options: argparse.Namespace, console: Console) -> list[Figures]:
    console.print(f"Making the bodies of {options.series:,} series")
    bodies = bodies_of_a_fleet(options.series, options.entities)
    _connect(platform)
    key = new_key(platform, "the fleet")
    pace = float(options.every)
    stages = [
        Stage("at its pace", pace, USUAL_SHARDS, 60 * options.minutes),
        Stage("as fast as it is let", 0.0, MANY_SHARDS, 60.0),
        Stage("at its pace again", pace, USUAL_SHARDS, 120.0),
    ]
    found = []
    for stage in stages:
        console.print(f"{stage.name}: {stage.seconds:.0f} s")
        found.append({"": stage.name, **asyncio.run(_figures(platform, key, bodies, stage))})
    return found


def _connect(platform: Platform) -> None:
    if SOURCE in _sources(platform):  # the home is of a run before
        return
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(orjson.dumps(MAPPING.model_dump(mode="json", exclude_none=True)))
        file.flush()
        done = platform.command(
            *("connect", "remote-write", SOURCE, "--mapping", file.name, "--yes"),
            *("--cadence", str(CADENCE)),
        )
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    eventually(lambda: SOURCE in _sources(platform))


async def _figures(platform: Platform, key: str, bodies: list[Body], stage: Stage) -> Figures:
    sender, begun = Sender(platform.url, key, SOURCE, stage.shards), time.monotonic()
    watch = asyncio.create_task(taken(platform, CADENCE, stage.seconds))
    beside = asyncio.create_task(asks(platform, stage.seconds))
    try:
        sent = await sender.scrapes(bodies, stage.every_s, stage.seconds)
        took = time.monotonic() - begun
        found, others = await watch, await beside
    finally:
        await sender.close()
    return _shown(sent, took) | {
        **{name: round(value, 2) for name, value in found.items()},
        "tail-slo p50 beside, ms": others.ms(0.5),
        "tail-slo p99 beside, ms": others.ms(0.99),
        "tail-slo unanswered": others.unanswered,
    }


def _shown(sent: Sent, took: float) -> Figures:
    return {
        "samples taken": sent.samples,
        "samples taken a second": round(sent.samples / took),
        "samples lost": sent.lost,
        "the first scrape took, s": round(sent.first_s, 1),
        "scrapes that were late": sent.late,
        "writes told to come again": sent.told_to_come_again(),
        "answers": ", ".join(f"{code}: {times}" for code, times in sorted(sent.statuses.items())),
        "write p50, ms": sent.ms(0.5),
        "write p99, ms": sent.ms(0.99),
    }


def _sources(platform: Platform) -> set[str]:
    answer = httpx.get(
        f"{platform.url}/sources", headers={"X-API-Key": platform.key}, timeout=30
    ).json()
    return {each["name"] for each in answer["sources"]}


def table(stages: list[Figures]) -> Table:
    shown = Table("figure", *(str(stage[""]) for stage in stages))
    for name in list(stages[0])[1:]:
        shown.add_row(name, *(_text(stage[name]) for stage in stages))
    return shown


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def main() -> int:
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    platform = Platform(options.home.resolve(), options.url or free_url(), HISTORY_DAYS)
    try:
        up = platform.up()
        if up.returncode != 0:
            raise SystemExit(up.stdout + up.stderr)
        stages = measure(platform, options, console)
    finally:
        platform.down()
    console.print(table(stages))
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_bytes(orjson.dumps(stages, option=orjson.OPT_INDENT_2))
    console.print(f"Written to {options.report}")
    usual = stages[0]
    return 1 if usual["samples lost"] or usual["scrapes that were late"] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--entities", type=int, default=500)
    parser.add_argument("--every", type=int, default=10, help="seconds between scrapes")
    parser.add_argument("--minutes", type=float, default=4.0, help="at the usual pace")
    parser.add_argument("--report", type=Path, default=ROOT / ".bench" / "intake.json")
    parser.add_argument("--home", type=Path, default=ROOT / ".bench" / "intake-home")
    parser.add_argument("--url", help="a free address on loopback where left out")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
