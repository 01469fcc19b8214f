"""What a rollout's verdicts rest on, as clients see it."""

from pydantic import BaseModel, Field

from config_store.certificates.certificate import Certificate
from config_store.certificates.progress import Point


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
