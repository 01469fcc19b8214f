"""What the README says is so: its commands exist, its table is the one that was measured."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.api.tail import TailBody, TailData
from launch.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z]+)", README))
    assert {"serve", "test", "bench", "quality"} <= named <= targets


@pytest.mark.parametrize(
    "line", [line for line in "".join(blocks("sh")).splitlines() if "ballast " in line]
)
def test_the_commands_and_their_options_exist(line: str) -> None:
    words = line.partition("#")[0].split()[1:]
    command = [word for word in words if word.isalpha()][:2]
    command = command if command[0] in {"key", "connect", "sources", "config"} else command[:1]
    shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0, shown.output
    for option in (word for word in words if word.startswith("--")):
        assert option in shown.output


def test_the_example_is_a_body_that_fits() -> None:
    (curl,) = (block for block in blocks("sh") if "curl" in block)
    body = re.search(r"-d '(.*)'", curl)
    assert body is not None
    TailBody.model_validate_json(body[1])


def test_the_example_answer_has_the_shape_of_one() -> None:
    (answer,) = blocks("json")
    content = json.loads(answer)
    assert set(content) == {"data", "interval", "safety", "meta"}
    assert set(content["data"]) == set(TailData.model_fields)


def test_every_file_and_folder_it_names_is_there() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    rooms = re.findall(r"^\| `([a-z_]+/)` \|", README, re.MULTILINE)
    shown = re.findall(r"`(tests/[a-z0-9_/.]+)`", README)
    for name in (*links, *rooms, *shown):
        assert (ROOT / name).exists(), name


def test_the_speed_table_is_the_measured_one() -> None:
    table = (ROOT / "docs/measured/speed.md").read_text().strip()
    assert table in README
    measured = json.loads((ROOT / "docs/measured/speed.json").read_text())
    for run in measured["figures"]:
        assert f"{run['closed']['rps']:,.0f} (" in table


def test_the_version_command_needs_no_cluster() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "launch.cli", "version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)


def test_the_endpoints_table_is_the_measured_one() -> None:
    measured = json.loads((ROOT / "docs/measured/endpoints.json").read_text())
    text = (ROOT / "README.md").read_text()
    for name, run in measured["endpoints"].items():
        row = f"| {name} | {run['p50_ms']:.2f} | {run['p99_ms']:.2f} | {run['p999_ms']:.1f} |"
        assert row in text
    for rate in measured["streams"].values():
        assert f"{rate:,.0f}" in text


def test_a_clone_holds_nothing_that_git_ignores() -> None:
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
