"""At the command line the next step is a command, whatever the platform calls it."""

import ast
import re
from collections.abc import Iterator

import pytest
from typer.main import get_command

from launch.cli import app
from launch.in_commands import in_commands
from tests.surface.source import modules
from tests.surface.test_shown_commands import defect

STEP = re.compile(r"\b(?:GET|POST|PUT|DELETE) /(?:config|safety|sources)\b")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Deploy it: POST /config/deploy with version 8", "Deploy it: `ballast config deploy 8`"),
        ("it: POST /config/versions/12/validate", "it: `ballast config validate 12`"),
        ("it, POST /config/versions/8/approve with a", "it, `ballast config approve 8` with a"),
        ("POST /config/versions/8/rebase drafts", "`ballast config rebase 8` drafts"),
        ("GET /config/rollout shows", "`ballast config watch --once` shows"),
        # What has no command stays what it is.
        ("GET /config/rollout/{id}/evidence", "GET /config/rollout/{id}/evidence"),
        ("GET /timeline?kind=rollout_judged", "GET /timeline?kind=rollout_judged"),
    ],
)
def test_an_endpoint_is_named_by_its_command(said: str, shown: str) -> None:
    assert in_commands(said) == shown


def test_all_that_the_platform_says_of_a_next_step_has_its_command() -> None:
    found = set(sentences())
    assert len(found) > 8
    shown = [in_commands(each) for each in found]
    assert [each for each in shown if STEP.search(each)] == []
    commands = {words for each in shown for words in re.findall(r"`(ballast [^`]+)`", each)}
    assert len(commands) > 6
    wrong = [defect(get_command(app), words.split()[1:]) for words in commands]
    assert [each for each in wrong if each] == []


def sentences() -> Iterator[str]:
    """Give what the platform says with an endpoint in it; 8 stands for what is filled in."""
    for path, tree in modules().items():
        if path.startswith(("deployments/gateway/", "config_store/steering/")):
            yield from filter(STEP.search, _texts(tree))


def _texts(node: ast.AST) -> Iterator[str]:
    """Give each text once: one that is put together as a whole."""
    if isinstance(node, ast.Constant | ast.JoinedStr):
        yield _text(node)
        return
    for child in ast.iter_child_nodes(node):
        yield from _texts(child)


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) for part in parts)
        case ast.FormattedValue():
            return "8"
    return ""
