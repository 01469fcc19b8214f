"""One run of the bench: choose each peer's best variant, then measure all in turns."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console

from benchmarks.speed import hops
from benchmarks.speed.booster import predict
from benchmarks.speed.contenders import Ground
from benchmarks.speed.openloop import open_loop
from benchmarks.speed.plan import Plan
from benchmarks.speed.results import OpenRun, Report, Run, best_variant
from benchmarks.speed.servers import ServerError, first_answer
from benchmarks.speed.target import Contender, Target
from benchmarks.speed.wrk import closed_loop

TRIAL_CLIENTS = 64
WARMUP_CLIENTS = 16


@dataclass(frozen=True)
class Bench:
    plan: Plan
    ground: Ground
    report: Report
    console: Console
    arrivals: Sequence[float]
    """Of the open loop: the same for all."""

    def run(self, contenders: Mapping[str, list[Contender]]) -> None:
        self.say(f"about {self.plan.expected_seconds(self.trials(contenders)) / 60:.0f} min")
        chosen = [self.choose(name, variants) for name, variants in contenders.items()]
        for turn in range(1, self.plan.rounds + 1):
            for contender in chosen:
                self.say(f"round {turn} of {self.plan.rounds}: {contender.name}")
                with contender.serve() as target:
                    self.measure(contender, target, last=turn == self.plan.rounds)

    def trials(self, contenders: Mapping[str, list[Contender]]) -> int:
        """Count the short runs that choosing will take."""
        open_choice = [name for name in contenders if name not in self.plan.variants]
        counts = [len(contenders[name]) for name in open_choice]
        return sum(count for count in counts if count > 1)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    def choose(self, name: str, variants: list[Contender]) -> Contender:
        by_name = {contender.variant: contender for contender in variants}
        fixed = next(iter(by_name)) if len(by_name) == 1 else self.plan.variants.get(name)
        if fixed is None:
            self.report.trials += [self.trial(contender) for contender in variants]
            fixed = best_variant(self.report.trials, name)
        if fixed not in by_name:
            raise ServerError(f"{name} has no variant {fixed!r}: choose from {sorted(by_name)}")
        return by_name[fixed]

    def trial(self, contender: Contender) -> Run:
        self.say(f"trying {contender.name}: {contender.variant}")
        with contender.serve() as target:
            self.warm_up(contender, target)
            measured = closed_loop(target, TRIAL_CLIENTS, self.plan.trial_seconds)
        return Run(contender.name, contender.variant, TRIAL_CLIENTS, measured)

    def warm_up(self, contender: Contender, target: Target) -> None:
        """Send some load, once it is sure that the server answers what the model says."""
        answer = json.loads(first_answer(target))
        if contender.quantiles is not None:
            expected = predict(self.ground.model, self.ground.rows[0].features)
            refuse_other_model(contender.name, contender.quantiles(answer), expected)
        closed_loop(target, WARMUP_CLIENTS, self.plan.warmup_seconds)

    def measure(self, contender: Contender, target: Target, *, last: bool) -> None:
        self.warm_up(contender, target)
        with_hops = last and contender.name == "ballast"
        for clients in self.plan.clients:
            before = hops.snapshot(target) if with_hops else {}
            measured = closed_loop(target, clients, self.plan.seconds)
            self.report.runs.append(Run(contender.name, contender.variant, clients, measured))
            if with_hops:
                self.report.hops += hops.hops_between(before, hops.snapshot(target), clients)
        if with_hops:
            self.report.hops += hops.lone_request_hops(target)
        if last and self.arrivals:
            self.open(contender, target)

    def open(self, contender: Contender, target: Target) -> None:
        opened = open_loop(target, self.arrivals)
        run = OpenRun(contender.name, contender.variant, self.plan.open_rate, opened)
        self.report.open_runs.append(run)


def refuse_other_model(name: str, got: Sequence[float], expected: Sequence[float]) -> None:
    same = len(got) == len(expected) and all(
        math.isclose(a, b, rel_tol=1e-4) for a, b in zip(sorted(got), sorted(expected), strict=True)
    )
    if not same:
        raise ServerError(f"{name} answered {got}, the model says {expected}")
