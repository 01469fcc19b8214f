"""docs/steering.md says who may ask for what, and what always holds."""

import ast
import re

from access.endpoints import ENDPOINTS
from config_store.steering.commands import ROLES
from config_store.steering.rollouts.shares import CANARY_SHARES
from config_store.steering.settings import RolloutSettings
from config_store.steering.times import SOON_SECONDS
from config_store.steering.watch import LAGS_SECONDS, LOOK_SECONDS, UP_TO_DATE_SECONDS
from tests.surface.source import REPOSITORY

PAGE = (REPOSITORY / "docs/steering.md").read_text()
# But for what changes nothing that steering decides: replays, checks, and the repair of Redis.
STEERED = r"/config(?!.*/impact$)(?!/repair$)|/safety(?!/policy/check$)"
# Until the front's second check in a row has failed.
TOLD_APART_SECONDS = 0.75
CLOCKS_DIFFER_SECONDS = 1.0


def test_every_command_is_listed_with_its_role() -> None:
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
    assert dict(listed) == {command.__name__: str(role) for command, role in ROLES.items()}


def test_what_a_person_may_ask_for_has_an_endpoint_and_the_rest_is_the_platforms_own() -> None:
    rows = re.findall(r"^\| `(\w+)` \| \w+ \| (.*?) \|", PAGE, re.MULTILINE)
    asked = {name: re.findall(r"`([A-Z]+) (/\S+)`", by) for name, by in rows}
    assert {name for name, endpoints in asked.items() if not endpoints} == {
        "Judge",
        "Wait",
        "Expire",
    }
    named = {endpoint for endpoints in asked.values() for endpoint in endpoints}
    assert named - ENDPOINTS.keys() == set()
    changing = {each for each in ENDPOINTS if each[0] != "GET" and re.match(STEERED, each[1])}
    assert changing - named == set()


def test_the_figures_are_those_of_the_code() -> None:
    shares = ", ".join(f"{100 * share:g}" for share in CANARY_SHARES)
    assert re.search(rf"^\| canary\b[^|]*\| {re.escape(shares)} % \|", PAGE, re.MULTILINE)
    assert f"A step begins {RolloutSettings().lead_seconds:g} s after it was decided" in PAGE
    assert f"every {LOOK_SECONDS:g} s without one" in PAGE
    assert f"| a gateway | its last look is older than {UP_TO_DATE_SECONDS:g} s" in PAGE
    assert f"| any process | its last look is older than {LAGS_SECONDS:g} s" in PAGE


def test_a_straggler_is_out_before_a_step_begins_that_it_has_not_heard_of() -> None:
    knows = RolloutSettings().lead_seconds - SOON_SECONDS - CLOCKS_DIFFER_SECONDS
    assert knows > UP_TO_DATE_SECONDS + TOLD_APART_SECONDS
    assert LOOK_SECONDS < UP_TO_DATE_SECONDS < LAGS_SECONDS


def test_every_invariant_names_what_checks_it_and_nothing_is_checked_that_is_none() -> None:
    section = PAGE.partition("## What always holds")[2].partition("What they rest on")[0]
    items = re.split(r"^\d+\. ", section, flags=re.MULTILINE)[1:]
    listed = [re.findall(r"`(\w+)`", each.partition("Checks: ")[2]) for each in items]
    assert all(listed), items
    assert {name for names in listed for name in names} == checking()


def checking() -> set[str]:
    """Name the functions and classes of the simulation in which something is checked."""
    folder = REPOSITORY / "tests/config_store/simulation"
    modules = [path for path in folder.glob("*.py") if not path.name.startswith("test_")]
    trees = [ast.parse(path.read_text()) for path in modules]
    return {
        node.name
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if any(_checks(each) for each in ast.walk(node))
    }


def _checks(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check"
