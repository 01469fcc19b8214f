"""Measure how much worse the tail of answers is while a full fleet is fed: `make bench-fed`.

    python -m benchmarks.features_speed.disturbance               about 10 minutes, an idle machine
    python -m benchmarks.features_speed.disturbance --rounds 1    a rough figure

Requests for tail latencies come at a steady rate (open loop). In turns nothing is fed, and 1,000
services are, each with nine metrics every 15 seconds: they are posted, stored, made into features,
published, and put into 4,000 streams. What counts is the p99 with the feed by the one without, of
the rounds' medians. Exit code 1 where it is over the bound.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks.features_speed.fleet import CADENCE, Fleet, connected, feeding, last_over
from benchmarks.platform import ROOT, Platform, eventually, free_url
from benchmarks.speed.bodies import write_bodies
from benchmarks.speed.openloop import OpenLoop, fixed_arrivals, open_loop
from benchmarks.speed.servers import ServerError
from benchmarks.speed.target import Target

RATE = 200.0
# Four intervals of the fleet.
SECONDS = 60.0
HISTORY_DAYS = 3
# What rounds without any feed differ by on a machine that does nothing else.
ENOUGH_RATIO = 1.25
SETTLED_SECONDS = 120.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Round:
    """The same load with nothing fed, and with the fleet."""

    quiet: OpenLoop
    fed: OpenLoop


@dataclass(frozen=True)
class Disturbance:
    rounds: list[Round]

    @property
    def quiet_p99_ms(self) -> float:
        return median(each.quiet.p99_ms for each in self.rounds)

    @property
    def fed_p99_ms(self) -> float:
        return median(each.fed.p99_ms for each in self.rounds)

    @property
    def ratio(self) -> float:
        return self.fed_p99_ms / self.quiet_p99_ms

    @property
    def unanswered(self) -> int:
        """Count what was not answered 200, in all rounds."""
        loops = [loop for each in self.rounds for loop in (each.quiet, each.fed)]
        return sum(loop.offered - loop.ok for loop in loops)

    @property
    def kept(self) -> bool:
        return self.ratio <= ENOUGH_RATIO and not self.unanswered


def measure(platform: Platform, folder: Path, rounds: int, seconds: float, say: Say) -> Disturbance:
    """Measure in turns, on a platform that is up."""
    fleet = connected(platform)
    target = _target(fleet, folder)
    open_loop(target, fixed_arrivals(RATE, seconds / 4))  # what is cached is cached
    found = []
    for at in range(1, rounds + 1):
        say(f"round {at} of {rounds}: nothing is fed")
        quiet = _asked(target, seconds)
        say(f"round {at} of {rounds}: a fleet of {len(fleet.entities):,} is fed")
        with feeding(fleet):
            fed = _asked(target, seconds)
        found.append(Round(quiet, fed))
        _wait_until_settled(fleet)
    return Disturbance(found)


def _wait_until_settled(fleet: Fleet) -> None:
    """Wait until the last that was posted is followed: it is not to disturb the next turn."""
    # One interval may have ended after the feed did.
    newest = last_over(time.time()) - CADENCE
    eventually(lambda: fleet.is_followed_to(newest), SETTLED_SECONDS)


def markdown(found: Disturbance) -> str:
    lines = [
        "| tail-slo at 200 requests a second | p50 ms | p99 ms | p99.9 ms | at most, ms |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in ("quiet", "fed"):
        loops: list[OpenLoop] = [getattr(each, name) for each in found.rounds]
        said = "nothing is fed" if name == "quiet" else "a full fleet is fed"
        fields = ("p50_ms", "p99_ms", "p999_ms", "max_ms")
        cells = (median(getattr(loop, each) for loop in loops) for each in fields)
        lines.append(f"| {said} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")
    verdict = (
        f"p99 with the feed by the one without: {found.ratio:.2f} (at most {ENOUGH_RATIO:g}; "
        f"{found.unanswered} without an answer): {'kept' if found.kept else 'MISSED'}"
    )
    return "\n".join([*lines, "", verdict])


def _asked(target: Target, seconds: float) -> OpenLoop:
    return open_loop(target, fixed_arrivals(RATE, seconds))


def _target(fleet: Fleet, folder: Path) -> Target:
    """Ask about each service, and leave what the feature store knows to the feature store."""
    bodies = [{"entity": entity, "error_rate": 0.01, "slo_ms": 250} for entity in fleet.entities]
    path = write_bodies(folder / "bodies" / "fed.jsonl", bodies)
    url = f"{fleet.platform.url}/models/tail-slo"
    return Target(url, {"X-API-Key": fleet.platform.key}, path)


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    home: Path = options.home.resolve()
    platform = Platform(home / "fed", free_url(), HISTORY_DAYS)
    try:
        up = platform.up()
        if up.returncode:
            raise ServerError(up.stdout + up.stderr)
        found = measure(platform, home, options.rounds, options.seconds, console.print)
    finally:
        platform.down()
    console.print(markdown(found), markup=False)
    path = home / "results" / "fed.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(found) | {"ratio": found.ratio}, indent=1) + "\n")
    console.print(f"Written to {path}")
    return 0 if found.kept else 1


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each turn")
    parser.add_argument("--home", type=Path, default=ROOT / ".bench", help="the platform's home")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
