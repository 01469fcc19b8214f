"""What every family with state by key is asked: to show a key, and to forget it.

A family's own operations stand in its `operations.py`; their `op` tells them from each other.
"""

from typing import Literal, TypedDict


class Show(TypedDict):
    op: Literal["show"]


class Delete(TypedDict):
    op: Literal["delete"]
