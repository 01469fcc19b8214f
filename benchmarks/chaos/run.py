"""A campaign of faults against a platform of its own: `make chaos SEED=7`.

    python -m benchmarks.chaos.run --seed 7 --faults 40
    python -m benchmarks.chaos.run --seed 7 --plan       only print what would be done

Exit code 1 when a promise was broken. The home is used again by the next campaign: what was trained
once is not trained again.
"""

import argparse
import asyncio
import signal
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from benchmarks.chaos import report
from benchmarks.chaos.audit import Line, Shown, lines, looked_up, states, stored
from benchmarks.chaos.books import Books
from benchmarks.chaos.campaign import Campaign
from benchmarks.chaos.client import Client, connected
from benchmarks.chaos.load import PACES, Load
from benchmarks.chaos.outages import Outages, watch
from benchmarks.chaos.schedule import Step, plan
from benchmarks.platform import ROOT, Platform, all_trained, free_url
from launch import own_processes
from launch.run_record import Run

HISTORY_DAYS = 14  # a week of baselines, and as little as the tail model can be trained on
SETTLED_SECONDS = 90.0
FINISH_SECONDS = 30.0


class Running:
    """All that goes on while the platform is struck."""

    def __init__(self, platform: Platform, seed: int, console: Console) -> None:
        self.platform, self.seed = platform, seed
        self._say = console.print
        self.books, self.outages = Books(time.monotonic), Outages()
        self.campaign = Campaign(platform, self.books, self.outages, console.print)
        self.shown: list[Shown] = []
        self.looked_up: set[str] = set()

    async def run(self, steps: list[Step], limit_s: float) -> None:
        clients = sum(pace.clients for pace in PACES.values())
        async with connected(self.platform.url, self.platform.key, clients) as http:
            await self._strike(Client(http, self.books), steps, limit_s)
            self.shown = await states(http, self.books)
            self.looked_up = await looked_up(http, self.books)
        self._say(f"{len(self.looked_up):,} of {len(self.books.received):,} decisions looked up.")

    async def _strike(self, client: Client, steps: list[Step], limit_s: float) -> None:
        address, stop = urlsplit(self.platform.url), asyncio.Event()
        prefix = f"chaos-{time.time_ns() // 1_000_000}"
        self.load = Load(client, self.books, prefix, self.seed)
        tasks = self.load.start()
        watching = asyncio.create_task(
            watch(self.outages, address.hostname or "", address.port or 0, stop)
        )
        # Ctrl-C ends the faults; what was done until then is still judged.
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self.campaign.end_early)
        try:
            weak = await self.campaign.settle(SETTLED_SECONDS)
            self._say(f"Under load. Never at full strength: {', '.join(weak) or 'none'}")
            await self.campaign.run(steps, limit_s)
        finally:
            stop.set()
            self.load.stop()
            _, slow = await asyncio.wait(tasks, timeout=FINISH_SECONDS)
            client.give_up()
            await asyncio.gather(watching, *tasks)
        self._say(f"The load has ended, {len(slow)} clients without an answer.")


def main() -> int:
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    steps = plan(options.seed, options.faults)
    if options.plan:
        for step in steps:
            console.print(f"{step.lead_seconds:4.1f} s, {step}")
        return 0
    platform = Platform(options.home.resolve(), options.url or free_url(), HISTORY_DAYS)
    running, left_over = _campaign(platform, steps, options, console)
    found = _judge(running, left_over)
    report.show(console, found, running.books)
    path = options.report or ROOT / ".bench" / f"chaos-{options.seed}.json"
    head = {"seed": options.seed, "faults": options.faults}
    effects = running.campaign.effects
    report.write(path, head, found, effects, running.books, running.outages)
    console.print(f"All of it: {path}")
    return 0 if all(line.kept for line in found) else 1


def _campaign(
    platform: Platform, steps: list[Step], options: argparse.Namespace, console: Console
) -> tuple[Running, list[str]]:
    began = time.monotonic()
    try:
        up = platform.up()
        if up.returncode != 0:
            raise SystemExit(up.stdout + up.stderr)
        trained = (
            "trained"
            if all_trained(platform.home / "models", options.training)
            else "still training"
        )
        console.print(f"Ready after {time.monotonic() - began:.0f} s, {trained}.")
        running = Running(platform, options.seed, console)
        asyncio.run(running.run(steps, options.limit))
        run = platform.run
    finally:
        platform.down()
    console.print(f"Down after {time.monotonic() - began:.0f} s.")
    return running, _left_over(platform, run)


def _judge(running: Running, left_over: list[str]) -> list[Line]:
    books = running.books
    unseen = [each for each in books.received if each not in running.looked_up]
    in_ledger = running.looked_up | _in_store(running.platform, unseen)
    return lines(
        books, running.shown, running.load.feeds, in_ledger, running.outages,
        running.campaign.effects, left_over, running.campaign.left_out,
    )  # fmt: skip


def _in_store(platform: Platform, ids: list[str]) -> set[str]:
    """Read the store that the platform has left, for there are more than can be asked for."""
    if not ids:
        return set()
    # It loads a large library, and only when there is something to look up.
    from observability.clickhouse.embedded import EmbeddedClickhouse  # noqa: PLC0415 - see above

    store = EmbeddedClickhouse(platform.home / "history")
    try:
        return stored(store, ids)
    finally:
        store.close()


def _left_over(platform: Platform, run: Run) -> list[str]:
    """Name what a clean end would have taken along."""
    found = [f"process {pid}" for pid in own_processes.marked(run.token)]
    folder = platform.home / "run"
    paths = (Path(run.scratch), folder / "run.json", Path(platform.redis))
    return found + [str(path) for path in paths if path.exists()]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--faults", type=int, default=40)
    parser.add_argument("--plan", action="store_true", help="print the campaign and do nothing")
    parser.add_argument("--report", type=Path, help="where the JSON goes; .bench/chaos-SEED.json")
    parser.add_argument("--home", type=Path, default=ROOT / ".bench" / "chaos-home")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for all the faults")
    parser.add_argument(
        "--training",
        type=float,
        default=900.0,
        help="seconds to wait for forecasters",
    )
    parser.add_argument("--url", help="a free address on loopback where left out")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
