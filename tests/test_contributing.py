"""What CONTRIBUTING.md says is so: its files exist, its list is complete, its commands run."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
# The family that the list is held against, and the stage that answers it.
FAMILY, STAGE = "extremes", "tail"
NAMES_THE_FAMILY = re.compile(r'extreme-events|\bEXTREMES\b|"extremes"|\bextremes_policy\b')
ROOMS = (
    *("deployments", "models", "features", "safety", "access", "config_store"),
    *("launch", "observability", "settings", "tuning", "tests/live"),
)
# Of the family's own logic, and what only uses the endpoint.
NO_PART_OF_ADDING = re.compile(
    r"deployments/tail/extremes/|models/|tests/live/test_|docs/(decisions|measured)/"
)
# What is installed already is not remade: the environment may be shared.
MADE = ("-o", ".venv/.installed", "-o", ".venv/.installed-dev")


def listed() -> set[str]:
    section = CONTRIBUTING.partition("## Add an endpoint")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    return {row.replace("<family>", FAMILY).replace("<stage>", STAGE) for row in rows}


def naming_the_family(files: Iterator[Path]) -> set[str]:
    return {
        str(path.relative_to(ROOT)) for path in files if NAMES_THE_FAMILY.search(path.read_text())
    }


def sources() -> Iterator[Path]:
    for room in ROOMS:
        yield from (ROOT / room).rglob("*.py")
        yield from (ROOT / room).rglob("*.toml")
    yield ROOT / "README.md"
    yield from (ROOT / "docs").glob("*.md")


def command_lines() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", CONTRIBUTING, re.DOTALL)
    return [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]


def test_the_files_exist() -> None:
    for name in (*listed(), *re.findall(r"\]\(([^)]+)\)", CONTRIBUTING)):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|md|toml))`", CONTRIBUTING):
        assert (ROOT / name).is_file(), name


def test_the_list_names_every_file_that_knows_the_family() -> None:
    found = {name for name in naming_the_family(sources()) if not NO_PART_OF_ADDING.match(name)}
    in_rooms = {name for name in listed() if not name.startswith("tests/deployments/")}
    assert in_rooms == found | {f"safety/{FAMILY}.py"}


def test_every_target_that_it_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {words[1] for line in command_lines() if (words := line.split())[:1] == ["make"]}
    assert {"install-dev", "dev", "check", "one", "test"} <= named <= targets


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "line",
    [
        line
        for line in command_lines()
        if line.startswith(("make help", "make install", "make one")) or "pytest" in line
    ],
)
def test_its_quick_commands_run(line: str) -> None:
    """The other ones are run by CI, or by the test of `make dev`; here no more than seconds."""
    words = shlex.split(line)
    command = ["make", *MADE, *words[1:]] if words[0] == "make" else [*words, "--collect-only"]
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_test_alone_says_when_it_fails() -> None:
    missing = run("make", *MADE, "one", "T=tests/test_contributing.py::test_that_is_not_there")
    assert missing.returncode != 0
    unnamed = run("make", *MADE, "one")
    assert unnamed.returncode != 0
    assert "make one T=path[::name]" in unnamed.stderr
