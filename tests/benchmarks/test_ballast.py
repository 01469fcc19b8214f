import random
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed import ballast
from benchmarks.speed.bodies import draw_rows
from benchmarks.speed.contenders import Ground
from benchmarks.speed.servers import ServerError

Serving = Callable[[Callable[[int], int]], AbstractContextManager[Any]]


@pytest.fixture
def ground(tmp_path: Path, rng: random.Random) -> Ground:
    return Ground(tmp_path, tmp_path / "model.ubj", draw_rows(3, rng), Path(sys.executable))


@pytest.fixture
def installed(tmp_path: Path) -> ballast.Ballast:
    """Return an installation whose command writes down how it was called."""
    command, key_file = tmp_path / "ballast", tmp_path / "admin.key"
    command.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    command.chmod(0o755)
    key_file.write_text("secret\n")
    log = tmp_path / "logs" / "b.log"
    return ballast.Ballast("", key_file, command, tmp_path / "models", start=True, log=log)


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def at(installed: ballast.Ballast, url: str) -> ballast.Ballast:
    return replace(installed, url=url.removesuffix("/predict"))


def test_it_is_asked_with_its_key_and_ended_after_its_turn(
    ground: Ground, installed: ballast.Ballast, serving: Serving, tmp_path: Path
) -> None:
    with serving(lambda _: 200) as (target, server):
        contender = ballast.contender(ground, at(installed, target.url))
        with contender.serve() as found:
            assert calls(tmp_path) == ["up --detach"]
            assert found.url.endswith("/models/tail-slo")
        assert calls(tmp_path) == ["up --detach", "down"]
    assert server.received[0][0] == "secret"


def test_it_is_ended_after_a_turn_that_failed(
    ground: Ground, installed: ballast.Ballast, serving: Serving, tmp_path: Path
) -> None:
    with serving(lambda _: 200) as (target, _):
        contender = ballast.contender(ground, at(installed, target.url))
        with pytest.raises(ArithmeticError), contender.serve():
            raise ArithmeticError
    assert calls(tmp_path)[-1] == "down"


def test_a_running_one_is_left_running(
    ground: Ground, installed: ballast.Ballast, serving: Serving, tmp_path: Path
) -> None:
    with serving(lambda _: 200) as (target, _):
        found = replace(at(installed, target.url), start=False)
        with ballast.contender(ground, found).serve():
            assert not (tmp_path / "calls").exists()


def test_a_missing_key_is_said(ground: Ground, installed: ballast.Ballast) -> None:
    installed.key_file.unlink()
    contender = ballast.contender(ground, replace(installed, start=False))
    with pytest.raises(ServerError, match="--key-file"), contender.serve():
        pytest.fail("there is no key")


def test_a_start_that_fails_names_its_log(ground: Ground, installed: ballast.Ballast) -> None:
    installed.command.write_text("#!/bin/sh\necho port 8000 is taken\nexit 3\n")
    contender = ballast.contender(ground, installed)
    with pytest.raises(ServerError, match="up --detach"), contender.serve():
        pytest.fail("it never came up")
    assert "port 8000 is taken" in installed.log.read_text()
