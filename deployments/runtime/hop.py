"""A call to the next deployment: over its transport, and elsewhere when a replica dies under it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from deployments.api.errors import StageLostError
from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.transport.base import (
    Link,
    RemoteFailureError,
    ReplicaLostError,
    Transport,
    VersionLackedError,
)
from deployments.runtime.transport.frame import Frame

log = logging.getLogger(__name__)


class ModelHop(Protocol):
    """A family's stage as a batch sees it; StageLostError when nothing comes back in time."""

    async def __call__(self, batch: Batch, budget_s: float) -> Prediction: ...


class Hop:
    """One stage of the DAG, with a time budget for each call."""

    def __init__(self, stage: str, transport: Transport, clock: Callable[[], float]) -> None:
        self.stage = stage
        self._transport = transport
        self._clock = clock

    async def __call__(self, frame: Frame, budget_s: float) -> Frame:
        """Send the frame; no stage has side effects, so a lost call is simply sent again."""
        deadline = self._clock() + budget_s
        refused: list[Link] = []
        while (left := deadline - self._clock()) > 0:
            try:
                async with asyncio.timeout(left):
                    frame.head["budget_s"] = left
                    link = await self._transport.pick_link(frame.head.get("config_hash", ""))
                    if link in refused:
                        break
                    return of_same_version(self.stage, frame, await link.call(frame))
            except VersionLackedError:
                refused.append(link)
                log.warning(
                    "stage %s: a replica cannot have version %s; the batch is sent to another one",
                    self.stage,
                    frame.head.get("version"),
                )
            except ReplicaLostError as lost:
                log.warning("stage %s: %s; the batch is sent to another replica", self.stage, lost)
            except RemoteFailureError as failure:
                raise StageLostError(self.stage, f"it failed with {failure}") from failure
            except TimeoutError:
                break
        if refused:
            raise StageLostError(
                self.stage, f"no replica can have version {frame.head.get('version')}"
            )
        raise StageLostError(self.stage, f"no answer came within {budget_s:.3f} s")


def of_same_version(stage: str, asked: Frame, answer: Frame) -> Frame:
    """Give the answer; one by another version than was asked for is as good as none."""
    wanted, used = asked.head.get("version"), answer.head.get("version")
    if used == wanted:
        return answer
    log.warning(
        "stage %s: the answer is of version %s, but version %s was requested", stage, used, wanted
    )
    raise StageLostError(stage, f"it answered with version {used} instead of version {wanted}")


class AnyReplica:
    """A family without state: whichever replica is idlest answers the batch."""

    def __init__(self, hop: Hop) -> None:
        self._hop = hop

    async def __call__(self, batch: Batch, budget_s: float) -> Prediction:
        return Prediction.from_frame(await self._hop(batch.to_frame(), budget_s))
