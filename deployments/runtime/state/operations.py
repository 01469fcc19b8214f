"""What families with state by key are asked alike: to show a key, to forget it, to take back.

A family's own operations stand in its `operations.py`; their `op` tells them from each other.
"""

from typing import Literal, TypedDict


class Show(TypedDict):
    op: Literal["show"]


class Delete(TypedDict):
    op: Literal["delete"]


class Withdraw(TypedDict):
    """Take back what was answered to nobody; only of families that keep what they answer."""

    op: Literal["withdraw"]
    decisions: list[str]
    reusable: bool
    """Whether somebody else may be given it: no policy has refused it."""
