"""One figure of the quality bench: ours beside the published one."""

from typing import NamedTuple


class Row(NamedTuple):
    what: str
    ours: float
    published: float
    """Or the reference's, or the most that is allowed."""
    source: str
    met: bool
