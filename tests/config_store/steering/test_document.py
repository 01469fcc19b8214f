"""docs/steering.md says who may ask for what, and what always holds."""

import re

from config_store.steering.commands import ROLES
from config_store.steering.settings import RolloutSettings
from config_store.steering.shares import CANARY_SHARES
from config_store.watch import POLL_SECONDS
from tests.surface.source import REPOSITORY

PAGE = (REPOSITORY / "docs/steering.md").read_text()


def test_every_command_is_listed_with_its_role() -> None:
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
    assert dict(listed) == {command.__name__: str(role) for command, role in ROLES.items()}


def test_the_figures_are_those_of_the_code() -> None:
    shares = ", ".join(f"{100 * share:g}" for share in CANARY_SHARES)
    assert f"| canary | {shares} % |" in PAGE
    assert f"A step begins {RolloutSettings().lead_seconds:g} s after it was decided" in PAGE
    assert f"every {POLL_SECONDS:g} s without one" in PAGE
    assert RolloutSettings().lead_seconds > POLL_SECONDS
