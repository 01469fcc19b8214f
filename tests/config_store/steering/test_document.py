"""docs/steering.md says who may ask for what, and what always holds."""

import re

from config_store.steering.commands import ROLES
from config_store.steering.settings import RolloutSettings
from config_store.steering.shares import CANARY_SHARES
from config_store.steering.store import SOON_SECONDS
from config_store.steering.watch import LAGS_SECONDS, LOOK_SECONDS, UP_TO_DATE_SECONDS
from tests.surface.source import REPOSITORY

PAGE = (REPOSITORY / "docs/steering.md").read_text()
# Until the front's second check in a row has failed.
TOLD_APART_SECONDS = 0.75
CLOCKS_DIFFER_SECONDS = 1.0


def test_every_command_is_listed_with_its_role() -> None:
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
    assert dict(listed) == {command.__name__: str(role) for command, role in ROLES.items()}


def test_the_figures_are_those_of_the_code() -> None:
    shares = ", ".join(f"{100 * share:g}" for share in CANARY_SHARES)
    assert f"| canary | {shares} % |" in PAGE
    assert f"A step begins {RolloutSettings().lead_seconds:g} s after it was decided" in PAGE
    assert f"every {LOOK_SECONDS:g} s without one" in PAGE
    assert f"| a gateway | its last look is older than {UP_TO_DATE_SECONDS:g} s" in PAGE
    assert f"| any process | its last look is older than {LAGS_SECONDS:g} s" in PAGE


def test_a_straggler_is_out_before_a_step_begins_that_it_has_not_heard_of() -> None:
    knows = RolloutSettings().lead_seconds - SOON_SECONDS - CLOCKS_DIFFER_SECONDS
    assert knows > UP_TO_DATE_SECONDS + TOLD_APART_SECONDS
    assert LOOK_SECONDS < UP_TO_DATE_SECONDS < LAGS_SECONDS
