"""What ARCHITECTURE.md says is so: floors, rooms, stages, and every file that it names."""

import re
import tomllib
from pathlib import Path
from typing import Any

from deployments.stages import STAGES

ROOT = Path(__file__).parents[1]
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()


def layers() -> list[str]:
    """Read the floors that `make check` enforces, the top one first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (found,) = (each["layers"] for each in contracts if is_of_rooms(each))
    return list(found)


def is_of_rooms(contract: dict[str, Any]) -> bool:
    """Tell the floors of all rooms from those within one."""
    return contract["type"] == "layers" and "containers" not in contract


def test_the_floors_are_those_that_are_checked() -> None:
    (block,) = re.findall(r"## Floors\n.*?```\n(.*?)```", ARCHITECTURE, re.DOTALL)
    assert block.splitlines() == layers()


def test_the_rooms_are_those_of_the_floors() -> None:
    rooms = set(re.findall(r"^\| `([a-z_]+)/` \|", ARCHITECTURE, re.MULTILINE))
    assert rooms == {room for layer in layers() for room in layer.split(" | ")}


def test_the_star_has_every_stage() -> None:
    star = ARCHITECTURE.partition("```mermaid\nflowchart")[2].partition("```")[0]
    assert set(re.findall(r"gateway <--> ([a-z]+)", star)) == set(STAGES)


def test_every_file_that_it_names_is_there() -> None:
    links = re.findall(r"\]\(([^)]+)\)", ARCHITECTURE)
    paths = re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", ARCHITECTURE)
    assert links
    assert paths
    under_home = {"redis/", "history/", "models/", "spool/"}
    for name in {*links, *paths} - under_home:
        assert (ROOT / name).exists(), name


def flat(folder: str) -> set[str]:
    return {path.name for path in (ROOT / folder).glob("*.py")}


def test_a_room_of_rooms_has_few_files_of_its_own() -> None:
    assert flat("deployments") == {"__init__.py", "app.py", "stages.py"}
    assert flat("deployments/gateway") == {
        *("__init__.py", "app.py", "context.py"),
        *("deployment.py", "shortcut.py"),  # what Serve and cluster.yaml know by these names
    }


def test_each_room_of_the_gateway_is_in_the_table() -> None:
    named = set(re.findall(r"^\| `deployments/gateway/([a-z_]+)/` \|", ARCHITECTURE, re.MULTILINE))
    there = {path.parent.name for path in (ROOT / "deployments/gateway").glob("*/__init__.py")}
    assert named == there


def test_the_readme_links_both_pages() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "(ARCHITECTURE.md)" in readme
    assert "(CONTRIBUTING.md)" in readme
