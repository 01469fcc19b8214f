"""What a run of the bench does, read from the command line."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from settings.environment import Settings

# Ballast in its plain profile has a name of its own: it is another way through the same DAG.
PLAIN_PROFILE = "ballast-plain"
NAMES = ("ballast", PLAIN_PROFILE, "litserve", "mlserver", "bentoml", "plain")
SECONDS_TO_CHANGE_SERVERS = 4


@dataclass(frozen=True)
class Plan:
    clients: tuple[int, ...]
    seconds: int
    rounds: int
    warmup_seconds: int
    trial_seconds: int
    peers: tuple[str, ...]
    variants: dict[str, str]
    """Peers whose variant is fixed; for the others a short run of each finds the best."""
    open_rate: float
    open_seconds: float
    ballast_url: str
    key_file: Path
    ballast_command: Path
    start_ballast: bool
    model: Path | None
    models: Path
    """Where Ballast keeps its models."""
    home: Path

    def expected_seconds(self, trials: int) -> float:
        """Estimate the whole run, environments and starts of Ballast apart."""
        change = SECONDS_TO_CHANGE_SERVERS + self.warmup_seconds
        turn = change + len(self.clients) * self.seconds
        opened = self.open_seconds if self.open_rate else 0.0
        turns = len(self.peers) * (self.rounds * turn + opened)
        return turns + trials * (change + self.trial_seconds)

    def settings(self) -> dict[str, Any]:
        return asdict(self)


def read_plan(arguments: Sequence[str]) -> Plan:
    settings = Settings()
    parser = _parser(settings)
    read = vars(parser.parse_args(arguments))
    quick = read.pop("quick")
    read["models"] = settings.paths.models
    read["variants"] = dict(pair.split("=", 1) for pair in read.pop("variant"))
    if not read["start_ballast"]:
        if read["peers"] is not NAMES and PLAIN_PROFILE in read["peers"]:
            parser.error(f"{PLAIN_PROFILE} needs --start-ballast: a platform has one profile")
        read["peers"] = tuple(name for name in read["peers"] if name != PLAIN_PROFILE)
    unknown = set(read["peers"]) - set(NAMES)
    if unknown:
        parser.error(f"unknown peers {sorted(unknown)}: choose from {', '.join(NAMES)}")
    plan = Plan(**read)
    return _quickened(plan) if quick else plan


def _quickened(plan: Plan) -> Plan:
    return replace(plan, clients=(1, 64), seconds=2, rounds=1, trial_seconds=1, open_seconds=3.0)


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.run", description=__doc__)
    add = parser.add_argument
    add("--clients", type=_numbers, default=(1, 16, 64, 256), help="closed loop: client counts")
    add("--seconds", type=int, default=4, help="of each measured run")
    add("--rounds", type=int, default=3, help="each server's turns; medians are reported")
    add("--warmup-seconds", type=int, default=2, help="before each server's turn")
    add("--trial-seconds", type=int, default=3, help="of the run that chooses a peer's variant")
    add("--peers", type=_names, default=NAMES, help=f"some of {','.join(NAMES)}")
    add("--variant", action="append", default=[], metavar="PEER=VARIANT", help="skip the choice")
    add("--open-rate", type=float, default=200.0, help="open loop: requests a second; 0 for none")
    add("--open-seconds", type=float, default=10.0)
    add("--ballast-url", default=f"http://127.0.0.1:{settings.port}")
    add("--key-file", type=Path, default=settings.paths.key_file)
    add("--ballast-command", type=Path, default=Path(".venv/bin/ballast"))
    add("--start-ballast", action="store_true", help="bring Ballast up for its turns only")
    add("--model", type=Path, help="folder with the booster for the peers; left out: Ballast's own")
    add("--home", type=Path, default=Path(".bench"), help="environments, logs and results")
    add("--quick", action="store_true", help="1 and 64 clients, one short round")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))
