"""A command or an option without help, or that no document names, is a defect."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from config_store.errors import (
    ConfigError,
    CorruptVersionError,
    NoActiveVersionError,
    UnreadableVersionError,
)
from deployments.runtime.version import VERSION
from launch.cli import app
from tests.surface.source import DOCUMENTS


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Give every command by its full name, groups left out."""
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield name, command
        return
    for word, each in subcommands.items():
        yield from commands(each, f"{name} {word}")


def defects(command: Any, text: str) -> set[str]:
    found = set()
    for name, each in commands(command, "ballast"):
        if not each.help:
            found.add(f"{name} has no help")
        if name not in text:
            found.add(f"{name} is not documented")
        for option in each.params:
            spelled = max(option.opts, key=len)
            if not getattr(option, "help", None):
                found.add(f"{name} {spelled} has no help")
            if option.param_type_name == "option" and spelled not in text:
                found.add(f"{name} {spelled} is not documented")
    return found


def test_every_command_and_option_has_help_and_is_documented() -> None:
    text = "\n".join(path.read_text() for path in DOCUMENTS)
    assert defects(get_command(app), text) == set()


def test_the_version_is_asked_for_either_way() -> None:
    asked = [CliRunner().invoke(app, [word]) for word in ("version", "--version")]
    assert [each.exit_code for each in asked] == [0, 0]
    assert [each.output for each in asked] == [f"{VERSION}\n"] * 2


@pytest.mark.parametrize(
    "error",
    [
        NoActiveVersionError(),
        CorruptVersionError(2, "a" * 64, "b" * 64),
        UnreadableVersionError(2, "serving: it is missing"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_who_has_no_version_to_go_by_is_told_commands_that_exist(error: ConfigError) -> None:
    said = set(re.findall(r"`([^`]+)`", str(error)))
    assert said
    assert said <= {name for name, _ in commands(get_command(app), "ballast")}


def test_planted_ones_are_found() -> None:
    planted = typer.Typer()
    group = typer.Typer()
    planted.add_typer(group, name="key")

    @planted.command()
    def up(quick: bool = False, slow: bool = typer.Option(False, help="Take time.")) -> None:
        """Start."""

    @group.command("make")
    def make() -> None: ...

    assert defects(get_command(planted), "`ballast up --slow`") == {
        "ballast up --quick has no help",
        "ballast up --quick is not documented",
        "ballast key make has no help",
        "ballast key make is not documented",
    }
