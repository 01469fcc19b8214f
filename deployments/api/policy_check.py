"""The contract of POST /safety/policy/check."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from safety.proofs.findings import Finding


class PolicyCheck(BaseModel):
    """A policy that shall be checked; nothing is changed by it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "policy": {
                        "families": {
                            "bandit-evaluate": {
                                "inputs": [],
                                "outputs": ["lower", "upper"],
                                "relations": [
                                    {
                                        "lesser": "lower",
                                        "greater": "upper",
                                        "level": "unsafe",
                                        "message": "An interval's ends may not cross.",
                                    }
                                ],
                                "fallback": [
                                    {"kind": "constant", "field": "lower", "value": 1},
                                    {"kind": "constant", "field": "upper", "value": 0},
                                ],
                            }
                        }
                    },
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


class PolicyChecked(BaseModel):
    passes: bool = Field(description="Whether the policy may become active.")
    findings: list[Finding] = Field(description="What was found, the gravest first.")
    families: list[str]
    config_version: int | None = Field(
        description="The version that it was compared with; null where with none."
    )
    questions: int = Field(description="How many questions were put to the prover.")
    seconds: float
