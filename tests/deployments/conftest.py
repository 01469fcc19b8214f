from collections.abc import AsyncIterator, Iterator

import pytest

from models.tail.training import train_tail
from models.tail.xgboost_quantile import TailModel
from tests.deployments.replicas import Room, SilentReplica
from tests.fortnight import fortnight


def silent(_share: float, _what: str) -> None:
    """Hear progress and say nothing."""


@pytest.fixture(scope="session")
def tail_model() -> TailModel:
    """Train a model on the fortnight: small, and real in every other way."""
    columns = fortnight().columns()
    return train_tail(columns, seed=3, threads=1, progress=silent, requests=4_000).model


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    room = Room()
    yield room
    await room.close()


@pytest.fixture
def silent_replica() -> Iterator[SilentReplica]:
    replica = SilentReplica()
    yield replica
    replica.close()
