"""Bodies that draft, approve and withdraw versions of the configuration."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from deployments.api.policy_check import interval_policy
from safety.proofs.findings import MOST_CHARACTERS, MOST_NAMED

FindingName = Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]
Message = Annotated[str, Field(min_length=1, max_length=500)]


class SteeringBody(BaseModel):
    """What all bodies that change the configuration share."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ConfigPatch(RootModel[dict[str, Any]]):
    """A merge patch (RFC 7396) of the active document: null removes, lists are replaced whole."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"serving": {"tail": {"slo_ms": 200}}}]}
    )


class _VersionBody(SteeringBody):
    message: Message
    parent: int | None = Field(
        None, ge=1, description="The version it is written on top of; the active one if left out."
    )


class DraftBody(_VersionBody):
    """A new version: a whole document, or a merge patch of its parent's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "patch": {"serving": {"tail": {"slo_ms": 200}}},
                    "message": "a tighter objective for the tail",
                }
            ]
        },
    )
    document: dict[str, Any] | None = None
    patch: dict[str, Any] | None = Field(
        None, description="RFC 7396: what it names is replaced, null removes it."
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.document is None) == (self.patch is None):
            raise ValueError("give either a document or a patch")
        return self


class PolicyDraftBody(_VersionBody):
    """A new version whose safety policy is another one; the rest is its parent's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "policy": interval_policy(lower=0, upper=1),
                    "message": "intervals of an evaluation may not cross",
                }
            ]
        },
    )
    policy: dict[str, Any] = Field(
        description="The whole policy, as GET /safety/policy gives it. Without a family that is "
        "served it is refused; without `emergency` no rule turns emergency mode on."
    )


class ApproveBody(SteeringBody):
    """The hash is that of the document which the approver read: another content is not approved."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"config_hash": "5e884898" * 8},
                {
                    "config_hash": "5e884898" * 8,
                    "acknowledged": ["never_fires tail range:autoscale_workers"],
                },
            ]
        },
    )
    config_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    acknowledged: Annotated[tuple[FindingName, ...], Field(max_length=MOST_NAMED)] = Field(
        (), description="Each of the version's `life.findings`, by its name: none is passed over."
    )


class WithdrawBody(SteeringBody):
    """Why a version is given up that was never deployed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "version 9 has it too"}]})
    reason: str = Field("", max_length=500)
