"""The contract of POST /safety/policy/check."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from safety.proofs.findings import Finding


def interval_policy(lower: int, upper: int) -> dict[str, Any]:
    """Give an example of a policy: of one family, whose fallback is this interval."""
    ends_in_order = {
        "lesser": "lower",
        "greater": "upper",
        "level": "unsafe",
        "message": "An interval's ends may not cross.",
    }
    return {
        "families": {
            "bandit-evaluate": {
                "inputs": [],
                "outputs": ["lower", "upper"],
                "relations": [ends_in_order],
                "fallback": [
                    {"kind": "constant", "field": "lower", "value": lower},
                    {"kind": "constant", "field": "upper", "value": upper},
                ],
            }
        }
    }


class PolicyCheck(BaseModel):
    """A policy that shall be checked; nothing is changed by it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "policy": interval_policy(lower=1, upper=0),
                    "against": "none",
                }
            ]
        },
    )

    policy: dict[str, Any] = Field(
        description="As GET /safety/policy gives it; a whole configuration is taken too."
    )
    against: Literal["active", "none"] = Field(
        "active",
        description="Whether to list what the policy lets leave that the active one holds back.",
    )
    only_changed: bool = Field(
        False,
        description="Whether to leave out the families that the active policy judges just so, as "
        "the validation of a version does: they were checked before they came into force.",
    )


class PolicyChecked(BaseModel):
    passes: bool = Field(description="Whether the policy may become active.")
    findings: list[Finding] = Field(description="What was found, the gravest first.")
    families: list[str] = Field(description="Those that were checked.")
    config_version: int | None = Field(
        description="The version that it was compared with; null where with none."
    )
    questions: int = Field(description="How many questions were put to the prover.")
    seconds: float
