"""Opens the configuration, or a section of it, in an editor, and drafts what comes back."""

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from launch.errors import LaunchError

DEFAULT_EDITOR = "vi"


def section_of(document: Any, path: str) -> Any:
    """Give the part of a document that a dotted path names; the whole for an empty one."""
    for part in filter(None, path.split(".")):
        if not isinstance(document, Mapping) or part not in document:
            there = ", ".join(sorted(document)) if isinstance(document, Mapping) else "a value"
            raise LaunchError(f"The configuration has no {path!r}: at {part!r} there is {there}.")
        document = document[part]
    return document


def with_section(document: Any, path: str, section: Any) -> Any:
    """Put a section back in its place; the document that is given stays as it is."""
    head, _, rest = path.partition(".")
    if not head:
        return section
    return {**document, head: with_section(document[head], rest, section)}


def written(value: Any, about: str, *, as_json: bool) -> str:
    """Write what is to be edited; YAML has room for a comment."""
    if as_json:
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    comment = "".join(f"# {line}\n" for line in about.splitlines())
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return comment + text


def read(text: str, *, as_json: bool) -> Any:
    """Read what was edited; raises LaunchError with the place of a mistake."""
    try:
        return json.loads(text) if as_json else yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise LaunchError(f"This is no JSON: {error}.") from None
    except yaml.YAMLError as error:
        raise LaunchError(f"This is no YAML: {error}.") from None


class EditedFile:
    """A private file that an editor is given, again and again until it is right."""

    def __init__(self, text: str, *, as_json: bool) -> None:
        suffix = ".json" if as_json else ".yaml"
        handle, name = tempfile.mkstemp(prefix="ballast-config-", suffix=suffix)
        os.close(handle)
        self.path = Path(name)
        self.path.write_text(text)

    def edit(self) -> str:
        """Open the editor, wait for its end, and give what the file says."""
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or DEFAULT_EDITOR
        try:
            ended = subprocess.run([*shlex.split(editor), str(self.path)], check=False)
        except (OSError, ValueError) as error:
            raise LaunchError(f"The editor {editor!r} cannot be started: {error}.") from None
        if ended.returncode:
            raise LaunchError(f"The editor {editor!r} ended with {ended.returncode}.")
        return self.path.read_text()

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
