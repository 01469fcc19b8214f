"""Put a step of load on a platform of one's own and take it away: `make autoscaling`.

    python -m benchmarks.autoscaling.run --profiles fast plain

It writes docs/measured/autoscaling.md and .json. Exit code 1 when something was lost, or when a
deployment did not get more replicas and give them back. What is started is ended.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import orjson
from redis.asyncio import Redis
from rich.console import Console

from benchmarks.autoscaling.load import CALM, STEPS, Step, StepLoad
from benchmarks.autoscaling.table import Lost, Run, Sample, growths, is_kept, page
from benchmarks.chaos.audit import Shown, states
from benchmarks.chaos.books import Books
from benchmarks.chaos.client import Client, connected
from benchmarks.platform import ROOT, Platform, all_trained, free_url, untrained
from benchmarks.speed.machine import describe
from deployments.runtime.platform_health import read_health
from settings.redis_connection import open_redis

PROFILES = ("fast", "plain")
HISTORY_DAYS = 14
SAMPLE_SECONDS = 1.0
CALM_SECONDS = 15.0
FINISH_SECONDS = 60.0
CALM_LOAD = "calm"
# Of all that describes a machine, what says how much it can do.
MACHINE = ("cores", "cpu", "ray", "load average at the start")


class Watch:
    """Notes every second how many replicas run, and how much was answered."""

    def __init__(self, redis: Redis, books: Books) -> None:
        self._redis, self._books = redis, books
        self._began = time.monotonic()
        self._noted = asyncio.Event()
        self.load = CALM_LOAD
        self.samples: list[Sample] = []

    async def go_on(self) -> None:
        while True:
            await self._note()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _note(self) -> None:
        health = await read_health(self._redis, time.time())
        if health is None or not health.deployments:
            return
        self.samples.append(
            Sample(
                at_s=round(time.monotonic() - self._began, 1),
                load=self.load,
                replicas={each.name: each.running for each in health.deployments},
                answered=self._books.answered.total(),
            )
        )
        self._noted.set()

    async def until_back(self, deployment: str, most: int, within_s: float) -> None:
        """Wait until it has no more replicas than so many, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.replicas(deployment) > most:
                    self._noted.clear()
                    await self._noted.wait()

    def replicas(self, deployment: str) -> int:
        return self.samples[-1]["replicas"].get(deployment, 0) if self.samples else 0


async def measure(platform: Platform, options: argparse.Namespace, console: Console) -> Run:
    books = Books(time.monotonic)
    redis = open_redis(f"unix://{platform.redis}")
    clients = sum(CALM.values()) + max(step.clients for step in STEPS)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    machine = {name: value for name, value in describe().items() if name in MACHINE}
    if untrained(platform.home / "models"):
        machine["forecasters"] = "in training, at low priority"
    try:
        async with connected(platform.url, platform.key, clients) as http:
            load = StepLoad(Client(http, books), books, f"steps-{time.time_ns() // 1_000_000}")
            watch = Watch(redis, books)
            watching = asyncio.create_task(watch.go_on())
            try:
                load.start()
                for step in STEPS:
                    await _one_step(step, load, watch, options, console)
            finally:
                slow = await load.end(FINISH_SECONDS)
                watching.cancel()
            console.print(f"The load has ended, {slow} clients without an answer.")
            lost = _lost(books, await states(http, books))
    finally:
        await redis.aclose()
    for noted in books.wrong[:5]:
        console.print(f"{noted.endpoint}: {noted.status} {noted.text}")
    steps: list[dict[str, str | int]] = [asdict(step) for step in STEPS]
    return Run(
        profile=platform.profile,
        started=started,
        machine=machine,
        steps=steps,
        samples=watch.samples,
        lost=lost,
    )


async def _one_step(
    step: Step, load: StepLoad, watch: Watch, options: argparse.Namespace, console: Console
) -> None:
    await asyncio.sleep(CALM_SECONDS)
    before = watch.replicas(step.deployment)
    watch.load = f"{step.clients} clients of {step.kind}"
    load.rise(step)
    await asyncio.sleep(options.step)
    load.fall()
    most = watch.replicas(step.deployment)
    watch.load = CALM_LOAD
    await watch.until_back(step.deployment, before, options.back)
    console.print(
        f"{step.kind}: {step.deployment} had {before} replicas, {most} at the end of the step, "
        f"{watch.replicas(step.deployment)} after it."
    )


def _lost(books: Books, shown: Sequence[Shown]) -> Lost:
    return Lost(
        sent=books.sent.total(),
        answered=books.answered.total(),
        told_to_come_back=books.later.total(),
        broken=books.broken.total(),
        wrong=len(books.wrong),
        points_acknowledged=sum(each.counted.acknowledged for each in shown),
        points_lost=sum(each.counted.lost(each.found) for each in shown),
        points_doubled=sum(each.counted.doubled(each.found) for each in shown),
    )


def one_profile(profile: str, options: argparse.Namespace, console: Console) -> Run:
    platform = Platform(options.home.resolve(), free_url(), HISTORY_DAYS, profile)
    began = time.monotonic()
    try:
        up = platform.up()
        if up.returncode != 0:
            raise SystemExit(up.stdout + up.stderr)
        # A training takes what replicas would be added for, though it gives way to them.
        if not all_trained(platform.home / "models", options.training) and options.training:
            raise SystemExit(f"not trained after {options.training:.0f} s: {platform.last_words()}")
        console.print(f"{profile}: ready after {time.monotonic() - began:.0f} s.")
        return asyncio.run(measure(platform, options, console))
    finally:
        platform.down()


def main() -> int:
    options = _options()
    console = Console(highlight=False, width=160)
    runs = [one_profile(profile, options, console) for profile in options.profiles]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "autoscaling.json").write_bytes(
        orjson.dumps(runs, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )
    (options.out / "autoscaling.md").write_text(page(runs))
    for run in runs:
        for each in growths(run):
            console.print(
                f"{run['profile']}: {each.deployment} {each.before} -> {each.most} -> {each.after}"
            )
        console.print(f"{run['profile']}: {run['lost']}")
    console.print(f"Written: {options.out / 'autoscaling.md'}")
    return 0 if all(map(is_kept, runs)) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--profiles", nargs="+", choices=PROFILES, default=PROFILES)
    parser.add_argument("--step", type=float, default=60.0, help="seconds that a step lasts")
    parser.add_argument(
        "--back", type=float, default=240.0, help="at most so long until it is back"
    )
    parser.add_argument(
        "--training",
        type=float,
        default=1_800.0,
        help="seconds that the forecasters may take; 0 begins while they are trained",
    )
    parser.add_argument("--home", type=Path, default=ROOT / ".bench" / "autoscaling-home")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "measured")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
