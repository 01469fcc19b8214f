"""Run the speed bench: `python -m benchmarks.speed.run --help`."""

import os
import random
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks.speed import ballast
from benchmarks.speed.bench import Bench
from benchmarks.speed.bodies import draw_rows
from benchmarks.speed.booster import ballasts_booster, booster_in, fallback_booster
from benchmarks.speed.contenders import CONTENDERS, PEERS, Ground
from benchmarks.speed.machine import busy_note, describe
from benchmarks.speed.openloop import poisson_arrivals
from benchmarks.speed.plan import PLAIN_PROFILE, Plan, read_plan
from benchmarks.speed.results import Report, write_json
from benchmarks.speed.servers import ServerError
from benchmarks.speed.table import markdown, show
from benchmarks.speed.target import Contender
from benchmarks.speed.wrk import WrkError

BODIES = 400
SEED = 20
WIDTH = 120  # of the tables in a log, which has no width of its own


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped
    plan = read_plan(arguments)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    noise = busy_note(os.getloadavg()[0], os.cpu_count() or 1)
    report = Report(datetime.now(UTC), describe(), plan.settings(), noise)
    failed = 0
    try:
        measure(plan, report, console)
    except (ServerError, WrkError) as error:
        report.notes.append(f"broken off: {error}")
        failed = 1
    finish(plan, report, console)
    return failed


def finish(plan: Plan, report: Report, console: Console) -> None:
    """Show and keep what was measured, also of a run that was broken off."""
    show(report, console)
    if report.runs:
        path = write_json(report, plan.home / "results")
        path.with_suffix(".md").write_text(markdown(report))
        console.print(f"written: {path} and {path.with_suffix('.md').name}")


def notes(plan: Plan, model: Path) -> list[str]:
    """Say what a reader must know before comparing the figures."""
    overridden = [peer for peer in plan.peers if (PEERS / peer / "overrides.txt").exists()]
    found = [f"{peer} was locked with benchmarks/peers/{peer}/overrides.txt" for peer in overridden]
    if "ballast" in plan.peers and model != ballasts_booster(plan.models):
        found.append(f"the peers did not serve Ballast's booster but {model}")
    if "ballast" in plan.peers and not plan.start_ballast:
        found.append("Ballast stayed up, idle, while the others were measured: see --start-ballast")
    return found


def booster_of(plan: Plan) -> Path:
    """Choose the one given, else Ballast's own, else one that the bench trains itself."""
    if "ballast" in plan.peers and plan.start_ballast:
        ballast.train(ballast_of(plan))
    if plan.model is not None:
        return booster_in(plan.model.resolve())
    return ballasts_booster(plan.models) or fallback_booster(plan.home.resolve() / "model")


def measure(plan: Plan, report: Report, console: Console) -> None:
    home = plan.home.resolve()
    model = booster_of(plan)
    report.notes += notes(plan, model)
    rows = draw_rows(BODIES, random.Random(SEED))  # noqa: S311 - bodies, not secrets
    # Not resolved: the interpreter of a virtual environment is a link that leads out of it.
    ground = Ground(home, model, rows, Path(sys.executable))
    rng = random.Random(SEED)  # noqa: S311 - arrival times, not secrets
    rate = plan.open_rate
    arrivals = poisson_arrivals(rate, plan.open_seconds, rng) if rate > 0 else []
    contenders = {name: variants_of(name, ground, plan) for name in plan.peers}
    Bench(plan, ground, report, console, arrivals).run(contenders)


def variants_of(name: str, ground: Ground, plan: Plan) -> list[Contender]:
    if name not in ("ballast", PLAIN_PROFILE):
        return CONTENDERS[name](ground)
    profile = "plain" if name == PLAIN_PROFILE else "fast"
    return [ballast.contender(ground, ballast_of(plan, profile), name)]


def ballast_of(plan: Plan, profile: str = "fast") -> ballast.Ballast:
    return ballast.Ballast(
        profile=profile,
        url=plan.ballast_url.rstrip("/"),
        key_file=plan.key_file,
        command=plan.ballast_command,
        models=plan.models,
        start=plan.start_ballast,
        log=plan.home / "logs" / "ballast.log",
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
