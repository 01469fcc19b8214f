"""The small tail model that the stages' tests train."""

from tests.deployments.conftest import tail_model

__all__ = ["tail_model"]
