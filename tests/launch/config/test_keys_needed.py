"""Who deploys a canary is told by how many keys it can be judged."""

from typing import Any

import pytest

from launch.config.rollout_commands import _needs
from tests.launch.config.rollout_body import ROLLOUT

RATE = {"metric": "error_rate", "relative": None, "absolute": 0.005}
TIME = {"metric": "p99_ms", "relative": 0.1, "absolute": None}
SETTINGS: dict[str, Any] = {"alpha": 0.01, "evidence": True, "margins": [TIME, RATE]}
CANARY: dict[str, Any] = {
    **ROLLOUT,
    "strategy": "canary",
    "shares": [0.01, 0.05, 0.25, 0.5, 1.0],
    "settings": SETTINGS,
}


def test_a_canary_says_how_many_keys_it_takes() -> None:
    (line,) = _needs(CANARY)
    # 0.995 to the 1,196th is a quarter of 1 %, and half of all keys are the candidate's.
    assert "about 2,392 keys" in line
    assert "with 50 %, for a margin of 0.5 points" in line


@pytest.mark.parametrize(
    "other",
    [
        {"strategy": "shadow", "shares": [0.0]},
        {"strategy": "rolling"},
        {"settings": SETTINGS | {"evidence": False}},
        {"settings": SETTINGS | {"margins": [TIME]}},
        {"shares": [1.0]},
    ],
)
def test_what_takes_no_keys_says_nothing(other: dict[str, Any]) -> None:
    assert list(_needs(CANARY | other)) == []
