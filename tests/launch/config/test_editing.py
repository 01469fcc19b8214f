"""Sections, YAML and JSON, and an editor that is a program of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from config_store.shipped import default_document
from launch.config.editing import EditedFile, read, section_of, with_section, written
from launch.errors import LaunchError

DOCUMENT: Any = default_document().model_dump(mode="json")


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("section", ["", "serving", "serving.tail", "safety.families.tail"])
def test_what_is_written_is_read_again(section: str, as_json: bool) -> None:
    part = section_of(DOCUMENT, section)
    text = written(part, "a comment\nof two lines", as_json=as_json)
    assert read(text, as_json=as_json) == part
    assert with_section(DOCUMENT, section, part) == DOCUMENT


def test_a_section_goes_back_to_its_place() -> None:
    changed = with_section(DOCUMENT, "serving.tail.slo_ms", 5)
    assert changed["serving"]["tail"]["slo_ms"] == 5
    assert changed["serving"]["capacity"] == DOCUMENT["serving"]["capacity"]
    assert DOCUMENT["serving"]["tail"]["slo_ms"] != 5


@pytest.mark.parametrize("path", ["market", "serving.tails", "serving.tail.slo_ms.x"])
def test_a_section_that_is_not_there_is_said(path: str) -> None:
    with pytest.raises(LaunchError, match="has no"):
        section_of(DOCUMENT, path)


@pytest.mark.parametrize(("text", "as_json"), [("{", True), ("a: [", False), ("a: !!x 1", False)])
def test_mistakes_are_said(text: str, as_json: bool) -> None:
    with pytest.raises(LaunchError, match="This is no"):
        read(text, as_json=as_json)


def test_the_editor_of_the_environment_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "ed it"
    editor.write_text('#!/bin/sh\necho \'{"a": 2}\' > "$2"\n')
    editor.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{editor}' --wait")
    file = EditedFile("{}", as_json=True)
    assert json.loads(file.edit()) == {"a": 2}
    assert file.path.stat().st_mode & 0o077 == 0
    file.remove()
    assert not file.path.exists()


@pytest.mark.parametrize(("editor", "said"), [("false", "ended with 1"), ("/no/such", "started")])
def test_an_editor_that_fails_is_said(
    editor: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", editor)
    file = EditedFile("{}", as_json=True)
    with pytest.raises(LaunchError, match=said):
        file.edit()
    file.remove()
