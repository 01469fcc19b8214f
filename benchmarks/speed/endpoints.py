"""Each endpoint of a running Ballast at 200 requests a second, and streams as fast as they go.

    python -m benchmarks.speed.endpoints --url http://127.0.0.1:8000 --key-file .ballast/admin.key

The bound of each percentile is the issue's, a quarter of what clients were promised or so. The open
loop counts from the scheduled arrival; see openloop.py.
"""

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.speed.machine import describe
from benchmarks.speed.openloop import OpenLoop, open_loop, poisson_arrivals
from benchmarks.speed.target import Target
from benchmarks.speed.wrk import closed_loop

SEED, BODIES, STUDIES, STREAMS = 20, 1000, 20, 1000
SERVICES = ("default", "order-gateway", "matching-engine", "market-data", "risk-check", "pricing")

Draw = Callable[[random.Random, int], dict[str, Any]]


@dataclass(frozen=True)
class Endpoint:
    name: str
    path: str
    body: Draw
    p50_ms: float
    p99_ms: float


def tail(draw: random.Random, _: int) -> dict[str, Any]:
    return {"entity": draw.choice(SERVICES), "load": draw.uniform(0, 1.4), "slo_ms": 25}


def capacity(draw: random.Random, _: int) -> dict[str, Any]:
    return {
        "entity": draw.choice(SERVICES),
        "ingest_rate": draw.uniform(50, 4000),
        "cpu": draw.uniform(0.1, 0.9),
        "p99": draw.uniform(2, 200),
    }


def extremes(draw: random.Random, at: int) -> dict[str, Any]:
    """Half ask of the telemetry, half bring 500 values."""
    if at % 2:
        return {"entity": draw.choice(SERVICES), "metric": draw.choice(["p99_ms", "p999_ms"])}
    return {"values": [round(draw.paretovariate(3), 4) for _ in range(500)]}


def regime(draw: random.Random, _: int) -> dict[str, Any]:
    stream = f"bench/{draw.randrange(STREAMS)}"
    return {"stream": stream, "values": [round(draw.gauss(20, 1), 4)]}


def many_values(draw: random.Random, at: int) -> dict[str, Any]:
    values = [round(draw.gauss(20, 1), 4) for _ in range(100)]
    return {"stream": f"bulk/{at % 64}", "values": values}


def anomaly(draw: random.Random, _: int) -> dict[str, Any]:
    point = [round(draw.gauss(0, 1), 4) for _ in range(3)]
    return {"stream": f"bench/{draw.randrange(STREAMS)}", "points": [point]}


def bandit(draw: random.Random, _: int) -> dict[str, Any]:
    return {
        "experiment": f"bench-{draw.randrange(20)}",
        "arms": ["incumbent", "small", "large"],
        "context": {"load": draw.random(), "hour": draw.random()},
    }


def study(draw: random.Random, _: int) -> dict[str, Any]:
    return {"study": f"bench-{draw.randrange(STUDIES)}", "space": SPACE}


SPACE = {
    "workers": {"type": "int", "low": 1, "high": 64},
    "batch": {"type": "int", "low": 1, "high": 512, "log": True},
    "timeout": {"type": "float", "low": 0.001, "high": 1.0, "log": True},
    "queue": {"type": "categorical", "choices": ["fifo", "lifo"]},
}

ENDPOINTS = (
    Endpoint("tail-slo", "/models/tail-slo", tail, 5, 15),
    Endpoint("capacity-planning", "/models/capacity-planning", capacity, 8, 20),
    Endpoint("extreme-events", "/models/extreme-events", extremes, 4, 10),
    Endpoint("regime-detection", "/models/regime-detection", regime, 4, 12),
    Endpoint("anomaly", "/models/anomaly", anomaly, 4, 12),
    Endpoint("bandit", "/models/bandit", bandit, 3, 10),
    Endpoint("bayes-opt", "/models/bayes-opt", study, 10, 60),
)


@dataclass(frozen=True)
class Measured:
    name: str
    opened: OpenLoop
    p50_bound: float
    p99_bound: float

    @property
    def kept(self) -> bool:
        within = self.opened.p50_ms < self.p50_bound and self.opened.p99_ms < self.p99_bound
        return within and self.opened.ok == self.opened.offered


class Bench:
    def __init__(self, url: str, key: str, folder: Path) -> None:
        self._url, self._headers, self._folder = url, {"X-API-Key": key}, folder

    def target(self, path: str, body: Draw) -> Target:
        draw = random.Random(SEED)  # noqa: S311 - bodies, not secrets
        lines = [json.dumps(body(draw, at)) for at in range(BODIES)]
        file = self._folder / f"{path.replace('/', '-')}-{body.__name__}"
        file.write_text("\n".join(lines))
        return Target(self._url + path, self._headers, file)

    def open(self, endpoint: Endpoint, rate: float, seconds: float) -> Measured:
        target = self.target(endpoint.path, endpoint.body)
        self._warm(target)
        rng = random.Random(SEED)  # noqa: S311 - arrival times, not secrets
        opened = open_loop(target, poisson_arrivals(rate, seconds, rng))
        return Measured(endpoint.name, opened, endpoint.p50_ms, endpoint.p99_ms)

    def _warm(self, target: Target) -> None:
        """Ask everything once, gently: streams, experiments and studies then exist."""
        with httpx.Client(headers=self._headers, timeout=30) as client:
            for line in target.bodies.read_bytes().splitlines():
                client.post(target.url, content=line)

    def tell_studies(self, trials: int) -> None:
        """Give each study so many finished trials, as one in the middle of its life has."""
        draw = random.Random(SEED)  # noqa: S311 - made-up outcomes
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=60) as client:
            for at in range(STUDIES):
                body = {
                    "study": f"bench-{at}",
                    "space": SPACE,
                    "history": list(past_trials(draw, trials)),
                }
                client.post("/models/bayes-opt", json=body).raise_for_status()


def past_trials(draw: random.Random, trials: int) -> Iterator[dict[str, Any]]:
    for _ in range(trials):
        workers, batch = draw.randint(1, 64), draw.randint(1, 512)
        timeout = draw.uniform(0.001, 1.0)
        value = abs(workers - 20) / 64 + abs(batch - 64) / 512 + abs(timeout - 0.2)
        queue = draw.choice(["fifo", "lifo"])
        parameters = {"workers": workers, "batch": batch, "timeout": timeout, "queue": queue}
        yield {"parameters": parameters, "value": value}


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    chosen = [each for each in ENDPOINTS if not options.only or each.name in options.only]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.url, options.key_file.read_text().strip(), Path(folder))
        measured = []
        for endpoint in chosen:
            with console.status(endpoint.name):
                if endpoint.name == "bayes-opt":
                    bench.tell_studies(options.trials)
                measured.append(bench.open(endpoint, options.rate, options.seconds))
        streams = _streams(bench, options.seconds) if not options.only else {}
    console.print(_table(measured, options.rate))
    for name, rate in streams.items():
        console.print(f"{name}: {rate:,.0f}")
    if options.json:
        _write(options.json, measured, streams, options.rate)
    return 0


def _streams(bench: Bench, seconds: float) -> dict[str, float]:
    """Let 64 clients send as fast as they are answered."""
    path = "/models/regime-detection"
    single = closed_loop(bench.target(path, regime), 64, round(seconds))
    bulk = closed_loop(bench.target(path, many_values), 64, round(seconds))
    return {
        "observations a second, one a body, 64 clients": single.rps,
        "observations a second, 100 a body, 64 clients": 100 * bulk.rps,
    }


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key-file", type=Path, default=Path(".ballast/admin.key"))
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--trials", type=int, default=200, help="finished trials of each study")
    parser.add_argument("--only", action="append", choices=[each.name for each in ENDPOINTS])
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser.parse_args(arguments)


def _table(measured: list[Measured], rate: float) -> Table:
    table = Table(title=f"{rate:g} requests a second, open loop, ms", title_justify="left")
    table.add_column("endpoint")
    for name in ("p50", "p99", "p99.9", "max", "asked", "answered", "kept"):
        table.add_column(name, justify="right")
    for each in measured:
        found = each.opened
        table.add_row(
            each.name,
            f"{found.p50_ms:.2f} (< {each.p50_bound:g})",
            f"{found.p99_ms:.2f} (< {each.p99_bound:g})",
            f"{found.p999_ms:.1f}",
            f"{found.max_ms:.1f}",
            f"{found.offered}",
            f"{found.ok}",
            "yes" if each.kept else "no",
        )
    return table


def _write(path: Path, measured: list[Measured], streams: dict[str, float], rate: float) -> None:
    found = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe(),
        "load": os.getloadavg()[0],
        "rate": rate,
        "endpoints": {each.name: asdict(each.opened) for each in measured},
        "streams": streams,
    }
    path.write_text(json.dumps(found, indent=1, default=str) + "\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
