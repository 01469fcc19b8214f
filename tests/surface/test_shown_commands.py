"""A command or an option that a document shows and that is not there is a defect."""

import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from launch.cli import app
from tests.surface.source import REPOSITORY

PAGES = (*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md")))


def shown(text: str) -> Iterator[str]:
    """Give the commands that blocks for a shell and words between backquotes show."""
    blocks = re.findall(r"^```(?:sh|bash|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for line in "".join(blocks).splitlines():
        if found := re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*(ballast .*)", line):
            yield found[1].partition(" #")[0]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`(?:[A-Z_]+=\S+ )*(ballast [^`]+)`", prose)


def defect(command: Any, words: list[str]) -> str:
    """Say what is wrong with a command that is shown; empty where nothing is."""
    said = ["ballast"]
    while words and (subcommands := getattr(command, "commands", None)) is not None:
        if not (word := words.pop(0)).startswith("-"):
            if word not in subcommands:
                return f"there is no {' '.join([*said, word])}"
            command = subcommands[word]
            said.append(word)
    options = {each for parameter in command.params for each in parameter.opts}
    unknown = {each for each in words if re.match(r"-[-a-z]", each)} - options - {"--", "--help"}
    return f"{' '.join(said)} has no {', '.join(sorted(unknown))}" if unknown else ""


def defects(text: str) -> list[str]:
    found = []
    for line in shown(text):
        for part in re.split(r" (?:&&|\|) |; ", line):
            words = part.strip().split()
            if words[:1] == ["ballast"] and (what := defect(get_command(app), words[1:])):
                found.append(what)
    return found


def test_every_command_that_is_shown_is_there_with_its_options() -> None:
    found = {page.name: defects(page.read_text()) for page in PAGES}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_planted_ones_are_found() -> None:
    text = (
        "Use `ballast config shout`, `ballast status` or\n\n"
        "```sh\nBALLAST_PORT=1 ballast up --quick  # and\nballast key create --role client\n```\n"
        "```console\n$ ballast config diff 1 2 --all\n~ a: 1 -> 2\n```\n"
    )
    assert sorted(defects(text)) == [
        "ballast config diff has no --all",
        "ballast up has no --quick",
        "there is no ballast config shout",
    ]
