"""Reads vectors of features from Ballast and from Feast, in turns, on this machine."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks.features_speed import ballast, feast, hits
from benchmarks.features_speed.contender import Contender, Reader, WrongAnswerError
from benchmarks.features_speed.report import Report, Run, markdown, write
from benchmarks.features_speed.subject import SIZES, Subject, draw
from benchmarks.speed.contenders import PEERS
from benchmarks.speed.environments import locked_version
from benchmarks.speed.machine import busy_note, describe
from benchmarks.speed.openloop import fixed_arrivals
from benchmarks.speed.servers import ServerError
from benchmarks.speed.wrk import WrkError

TRIAL_SIZE, TRIAL_CLIENTS = 10, 16


@dataclass(frozen=True)
class Bench:
    options: argparse.Namespace
    subject: Subject
    report: Report
    console: Console

    def run(self) -> None:
        home: Path = self.options.home.resolve()
        ground = feast.Ground(home, self.subject)
        chosen = [self.best(feast.servers(ground)), self.best(feast.stores(ground))]
        for turn in range(1, self.options.rounds + 1):
            for contender in (*chosen, ballast.contender(home, self.subject)):
                self.say(f"round {turn} of {self.options.rounds}: {contender.name}")
                with contender.serve() as reader:
                    self.measure(contender, reader)
        if self.options.rate_seconds:
            self.say("hits at 1,000 requests a second")
            self.at_rate(home)

    def best(self, variants: Sequence[Contender]) -> Contender:
        """Try each for a moment; the best is the one that answers the most."""
        fixed = dict(pair.split("=", 1) for pair in self.options.variant).get(variants[0].name)
        if fixed is not None:
            return {contender.variant: contender for contender in variants}[fixed]
        found: dict[float, Contender] = {}
        for contender in variants:
            self.say(f"trying {contender.name}: {contender.variant}")
            with contender.serve() as reader:
                seconds = self.options.trial_seconds
                reader.measure(TRIAL_SIZE, TRIAL_CLIENTS, seconds)
                closed = reader.measure(TRIAL_SIZE, TRIAL_CLIENTS, seconds)
            run = Run(contender.name, contender.variant, TRIAL_SIZE, TRIAL_CLIENTS, closed)
            self.report.trials.append(run)
            found[closed.rps] = contender
        return found[max(found)]

    def measure(self, contender: Contender, reader: Reader) -> None:
        for size in SIZES:
            reader.measure(size, max(self.options.clients), self.options.warmup_seconds)
            for clients in self.options.clients:
                closed = reader.measure(size, clients, self.options.seconds)
                run = Run(contender.name, contender.variant, size, clients, closed)
                self.report.runs.append(run)

    def at_rate(self, home: Path) -> None:
        arrivals = fixed_arrivals(hits.RATE, self.options.rate_seconds)
        with ballast.running(home, self.subject) as found:
            self.report.at_rate += hits.measure(found, self.subject, home, arrivals)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped
    options = _options(arguments)
    noise = busy_note(os.getloadavg()[0], os.cpu_count() or 1)
    machine = describe() | {"feast": locked_version("feast", PEERS)}
    report = Report(datetime.now(UTC), machine, vars(options), noise)
    console = Console(width=None if sys.stdout.isatty() else 160)
    failed = 0
    try:
        Bench(options, draw(), report, console).run()
    except (ServerError, WrkError, WrongAnswerError, OSError) as error:
        report.notes.append(f"broken off: {error}")
        failed = 1
    console.print(markdown(report), markup=False, highlight=False)
    if report.runs:
        console.print(
            f"written: {write(report, options.home / 'results' / 'features')}, and as .md"
        )
    return failed


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--variant", action="append", default=[], metavar="NAME=VARIANT", help="skip the choice")
    add("--clients", type=lambda text: [*map(int, text.split(","))], default=[1, 16])
    add("--seconds", type=int, default=5, help="of each measured run")
    add("--rounds", type=int, default=3, help="each one's turns; medians are reported")
    add("--warmup-seconds", type=int, default=2, help="before each size")
    add("--trial-seconds", type=int, default=3, help="of the run that chooses a variant")
    add("--rate-seconds", type=float, default=30.0, help="at 1,000 a second; 0: not at all")
    add("--home", type=Path, default=Path(".bench"), help="environments, logs and results")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
