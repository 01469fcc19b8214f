"""Rollouts as clients ask for them and see them, and what their verdicts rest on."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from config_store.certificates.certificate import Certificate
from config_store.certificates.progress import Point
from config_store.steering.settings import RolloutSettings
from config_store.steering.state import Rollout, Strategy
from deployments.api.config_drafts import SteeringBody


class DeployBody(SteeringBody):
    """Which version is brought into force, and how."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"version": 2, "strategy": "blue_green"}]},
    )
    version: int = Field(ge=1)
    strategy: Strategy = Strategy.BLUE_GREEN
    after: int | None = Field(
        None,
        ge=1,
        description="The version that you saw as active. Where another one is active by now, the "
        "request is refused with 409.",
    )
    id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="The rollout's id. A request that is sent again with it changes nothing.",
    )
    reason: str = Field("", max_length=500)
    shares: Annotated[tuple[float, ...], Field(min_length=1, max_length=50)] | None = Field(
        None,
        description="For each step, the share of the keys that see the candidate; the strategy's "
        "own if left out.",
    )
    settings: RolloutSettings | None = Field(
        None, description="What it is judged by; those of the steering settings if left out."
    )
    despite_branch: bool = Field(
        False, description="Deploy it though it lacks what the active version changed."
    )


class AbortBody(SteeringBody):
    """Which rollout ends; the one that goes on if none is named."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the p99 rose"}]})
    id: str | None = Field(None, max_length=64)
    reason: str = Field("an operator ended it", min_length=1, max_length=500)


class AdvanceBody(SteeringBody):
    """The step that was seen: a rollout that is at another one by now is left as it is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": "019ac3f2b1d0-5f2e9c01", "step": 0}]},
    )
    id: str = Field(max_length=64)
    step: int = Field(ge=0)


class RollBackBody(SteeringBody):
    """Where to go back to; the version that was active before if none is named."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "it sheds too much"}]})
    version: int | None = Field(None, ge=1)
    after: int | None = Field(
        None,
        ge=1,
        description="The version that you saw as active. Where another one is active by now, the "
        "request is refused with 409.",
    )
    rollout: str | None = Field(
        None,
        max_length=64,
        description='The rollout that you saw going on, "" for none. Where that is no longer so, '
        "the request is refused with 409. "
        "What is left out, here and as `after`, is what goes on when the request arrives.",
    )
    reason: str = Field("an operator went back", min_length=1, max_length=500)


class RolloutShown(BaseModel):
    """The rollout that goes on, and the one that ended last."""

    active: int
    rollout: Rollout | None
    last: Rollout | None
    share: float = Field(description="Of the keys, how many see the candidate now.")
    judged: bool = Field(description="Whether this step ends only on evidence that it is good.")
    first_look: float | None = Field(
        description="When the first look at this step is due: a look takes whole minutes, once "
        "they are archived. Null where the step is not judged."
    )
    now: float = Field(description="Epoch seconds, as all times of a rollout.")


class CertificatesShown(BaseModel):
    """Certificates of a rollout, in the order of its steps."""

    rollout: str
    certificates: list[Certificate]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class EvidenceShown(BaseModel):
    """What the looks at a step have found, one after another."""

    rollout: str
    step: int
    points: list[Point]
    next: int | None = Field(description="Give it as `after` for the next page; null at the end.")
