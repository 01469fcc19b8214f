"""Ballast as a contender: found running, or started for its turns and ended after each."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.platform import all_trained, untrained
from benchmarks.speed.booster import ballasts_booster
from benchmarks.speed.contenders import Ground
from benchmarks.speed.servers import ServerError, answers
from benchmarks.speed.target import Contender, Target

UP_SECONDS = 1800.0  # the first start trains what is not yet trained
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Ballast:
    url: str
    key_file: Path
    command: Path
    models: Path
    start: bool
    log: Path
    profile: str = "fast"


def contender(ground: Ground, ballast: Ballast, name: str = "ballast") -> Contender:
    return Contender(name, "whole DAG", partial(_serve, ground, ballast), None)


def train(ballast: Ballast) -> None:
    """Let Ballast train all that it has not trained yet.

    So the peers can serve the same, and nothing is trained beside what is measured.
    """
    if ballasts_booster(ballast.models) and not untrained(ballast.models):
        return
    _ballast(ballast, "up", "--detach")
    if not all_trained(ballast.models, UP_SECONDS):
        raise ServerError(f"Ballast trains for over {UP_SECONDS:.0f} s, see {ballast.log}")
    _ballast(ballast, "down")


@contextmanager
def _serve(ground: Ground, ballast: Ballast) -> Iterator[Target]:
    if not ballast.start:
        yield _ready_target(ground, ballast, READY_SECONDS)
        return
    _ballast(ballast, "up", "--detach")
    try:
        yield _ready_target(ground, ballast, READY_SECONDS)
    finally:
        _ballast(ballast, "down")


def _ready_target(ground: Ground, ballast: Ballast, patience: float) -> Target:
    target = ground.target("platform", f"{ballast.url}/models/tail-slo", _headers(ballast))
    deadline = time.monotonic() + patience
    while not answers(target):
        if time.monotonic() > deadline:
            raise ServerError(
                f"Ballast does not answer {target.url} with the key in {ballast.key_file}: "
                "start it, pass --start-ballast, or leave ballast out of --peers"
            )
        time.sleep(0.5)
    return target


def _headers(ballast: Ballast) -> dict[str, str]:
    if not ballast.key_file.exists():
        raise ServerError(f"there is no key in {ballast.key_file}: name it with --key-file")
    return {"X-API-Key": ballast.key_file.read_text().strip()}


def _ballast(ballast: Ballast, *arguments: str) -> None:
    ballast.log.parent.mkdir(parents=True, exist_ok=True)
    with ballast.log.open("ab") as log:
        run = subprocess.run(
            [ballast.command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # The profile that is measured, whatever is set outside.
            env={**os.environ, "BALLAST_PROFILE": ballast.profile},
            timeout=UP_SECONDS,
            check=False,
        )
    if run.returncode:
        raise ServerError(f"`ballast {' '.join(arguments)}` failed, see {ballast.log}")
