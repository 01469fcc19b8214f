"""The speed that Ballast promises, held against what was measured."""

from dataclasses import dataclass

from benchmarks.speed.results import OpenRun, Report, Run

SERVERS = ("litserve", "mlserver", "bentoml")
CLIENTS = 64
OPEN_LOOP_MS = {"p50_ms": 20.0, "p99_ms": 60.0, "p999_ms": 120.0}


@dataclass(frozen=True)
class Promise:
    text: str
    measured: float
    bound: float
    at_least: bool

    @property
    def kept(self) -> bool:
        if self.at_least:
            return self.measured >= self.bound
        return self.measured < self.bound


def promises(report: Report) -> list[Promise]:
    """Those for which this report has the figures."""
    figures = {(run.contender, run.clients): run for run in report.figures}
    found = _against_servers(figures) + _alone(figures)
    for run in report.open_runs:
        if run.contender == "ballast":
            found += _open_loop(run)
    return found


def _against_servers(figures: dict[tuple[str, int], Run]) -> list[Promise]:
    ballast, plain = figures.get(("ballast", CLIENTS)), figures.get(("plain", CLIENTS))
    others = [figures[name, CLIENTS] for name in SERVERS if (name, CLIENTS) in figures]
    found = []
    if ballast and len(others) == len(SERVERS):
        found.append(_ratio(ballast, max(others, key=lambda run: run.closed.rps), 2.0))
    if ballast and plain:
        found.append(_ratio(ballast, plain, 1.0))
    litserve = figures.get(("litserve", CLIENTS))
    if ballast and litserve:
        text = f"p99 at {CLIENTS} clients, ms, below LitServe's"
        p99_ms = ballast.closed.p99_ms
        found.append(Promise(text, p99_ms, litserve.closed.p99_ms, at_least=False))
    return found


def _ratio(ballast: Run, other: Run, bound: float) -> Promise:
    text = f"requests a second at {CLIENTS} clients, as a multiple of {other.contender}'s"
    return Promise(text, ballast.closed.rps / other.closed.rps, bound, at_least=True)


def _alone(figures: dict[tuple[str, int], Run]) -> list[Promise]:
    lone = figures.get(("ballast", 1))
    if lone is None:
        return []
    return [Promise("p50 at 1 client, ms", lone.closed.p50_ms, 5.0, at_least=False)]


def _open_loop(run: OpenRun) -> list[Promise]:
    return [
        Promise(
            f"{name.removesuffix('_ms')} at {run.rate:g} requests a second, open loop, ms",
            getattr(run.opened, name),
            bound,
            at_least=False,
        )
        for name, bound in OPEN_LOOP_MS.items()
    ]
