"""`ballast safety check`: what it says, and how it ends."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from benchmarks.safety.faults import planted
from benchmarks.safety.fleet import shipped
from config_store.shipped import default_document
from launch.cli import app
from launch.safety.check_command import NOT_SOUND
from safety.proofs.findings import Kind

BANDIT = {"families": {"bandit": shipped("bandit")}}


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["safety", "check", *words])


def written(folder: Path, name: str, content: object) -> str:
    file = folder / name
    file.write_text(json.dumps(content))
    return str(file)


def test_a_fault_is_shown_and_ends_with_four(tmp_path: Path) -> None:
    fault = next(each for each in planted() if each.kind is Kind.FALLBACK_BREAKS)
    ended = run(written(tmp_path, "policy.json", fault.written()))
    assert ended.exit_code == NOT_SOUND
    assert f"refused: fallback_breaks in {fault.family} {fault.rule}" in ended.output
    assert "admit = 1.5, which breaks `0 < admit <= 1 (critical)`" in ended.output
    assert "may not be active: 1 finding, 1 family" in ended.output


def test_a_policy_passes_alone_and_as_part_of_a_configuration(tmp_path: Path) -> None:
    document = default_document().model_dump(mode="json")
    small = document | {"safety": BANDIT}
    for name, content in (("policy.json", BANDIT), ("config.json", small)):
        ended = run(written(tmp_path, name, content))
        assert ended.exit_code == 0
        assert "passes: nothing found, 1 family" in ended.output


def test_what_it_lets_through_is_listed(tmp_path: Path) -> None:
    looser = {"families": {"bandit": shipped("bandit") | {"responses": {"unsafe": "keep"}}}}
    new, old = written(tmp_path, "new.json", looser), written(tmp_path, "old.json", BANDIT)
    ended = run(new, "--against", old)
    assert ended.exit_code == 0
    assert "noted: lets_through in bandit range:canary_percentage" in ended.output


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file"), ("{", "is no JSON")],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "policy.json"
    if content is not None:
        file.write_text(content)
    ended = run(str(file))
    assert ended.exit_code == 1
    assert said in ended.output
