"""What is next for a version, at each point of its way to a deploy."""

from typing import Any

import pytest

from config_store.steering.next_step import NextStep, Step, next_of
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Approval, Stage, VersionLife

FOUND = ("never_fires tail range:load",)


def life(**fields: Any) -> VersionLife:
    return VersionLife(
        number=2,
        content_hash="h2",
        author="ada",
        message="m",
        parent=1,
        created=0.0,
        stage=Stage.VALIDATING,
        **fields,
    )


def approved(by: str, *acknowledged: str, content_hash: str = "h2") -> Approval:
    return Approval(by=by, at=1.0, content_hash=content_hash, acknowledged=acknowledged)


@pytest.mark.parametrize(
    ("fields", "needed", "expected"),
    [
        ({}, 0, NextStep(Step.VALIDATE)),
        ({"refusal": "no such model"}, 0, NextStep(Step.CORRECT)),
        ({"checked": 1.0}, 0, NextStep(Step.DEPLOY)),
        ({"checked": 1.0}, 2, NextStep(Step.APPROVE, 2)),
        ({"checked": 1.0, "approvals": (approved("bob"),)}, 2, NextStep(Step.APPROVE, 1)),
        # Neither the author's word counts, nor one that was given to another content.
        ({"checked": 1.0, "approvals": (approved("ada"),)}, 1, NextStep(Step.APPROVE, 1)),
        (
            {"checked": 1.0, "approvals": (approved("bob", content_hash="h1"),)},
            1,
            NextStep(Step.APPROVE, 1),
        ),
        ({"checked": 1.0, "approvals": (approved("bob"),)}, 1, NextStep(Step.DEPLOY)),
        ({"checked": 1.0, "findings": FOUND}, 1, NextStep(Step.APPROVE, 1, FOUND)),
        (
            {"checked": 1.0, "findings": FOUND, "approvals": (approved("bob"),)},
            1,
            NextStep(Step.ACKNOWLEDGE, unseen=FOUND),
        ),
        ({"checked": 1.0, "findings": FOUND}, 0, NextStep(Step.ACKNOWLEDGE, unseen=FOUND)),
        (
            {"checked": 1.0, "findings": FOUND, "approvals": (approved("ada", *FOUND),)},
            0,
            NextStep(Step.DEPLOY),
        ),
        (
            {"checked": 1.0, "findings": FOUND, "approvals": (approved("bob", *FOUND),)},
            1,
            NextStep(Step.DEPLOY),
        ),
    ],
)
def test_next_is_what_is_missing_first(
    fields: dict[str, Any], needed: int, expected: NextStep
) -> None:
    assert next_of(life(**fields), SteeringSettings(approvals_needed=needed)) == expected
