"""The strictness every piece of policy and configuration shares."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Data that is read by many replicas: nobody changes it, and nothing unknown slips in."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
