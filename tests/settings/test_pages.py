"""docs/settings.md and .env.example are made of the settings, and say what holds."""

import re
import subprocess
from pathlib import Path

import pytest

from settings import pages
from settings.environment import Settings
from settings.names import variable

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / pages.EXAMPLE


def test_the_committed_page_is_the_generated_one() -> None:
    committed = (ROOT / pages.PAGE).read_text()
    assert committed == pages.page(committed), "run `make generate`"


def test_the_committed_example_is_the_generated_one() -> None:
    assert EXAMPLE.read_text() == pages.example(), "run `make generate`"


def test_a_shell_that_reads_the_example_has_every_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    defaults = Settings()
    text = re.sub(r"^#(?=[A-Z])", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    switched_on = read_by_a_shell(text)
    assert set(switched_on) == {variable(name) for name in Settings.model_fields}
    for name, value in switched_on.items():
        monkeypatch.setenv(name, value)
    assert Settings() == defaults


def test_an_example_that_nobody_edited_sets_nothing() -> None:
    assert read_by_a_shell(EXAMPLE.read_text()) == {}


def test_a_setting_is_explained_without_links_in_the_example() -> None:
    text = " ".join(EXAMPLE.read_text().split("\n# "))
    assert "(why: docs/decisions/the-zygote.md)" in text
    assert "](" not in EXAMPLE.read_text()


def read_by_a_shell(text: str) -> dict[str, str]:
    """Give the variables that a shell passes on after it has read this text."""
    done = subprocess.run(
        ["/bin/bash", "-c", f"set -a\n{text}\nset +a\nexec env -0"],
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    pairs = dict(each.split("=", 1) for each in done.stdout.split("\0") if each)
    return {name: pairs[name] for name in pairs.keys() - {"PWD", "SHLVL", "_"}}
