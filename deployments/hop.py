"""A call to the next deployment: serialised cheaply, tried again when a replica dies under it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from deployments.errors import StageLostError

# Long enough for Serve to notice that the replica is gone, short against any deadline.
PAUSE_SECONDS = 0.02

log = logging.getLogger(__name__)


class Hop:
    """One method of one deployment, with a time budget for each call."""

    def __init__(
        self, stage: str, handle: DeploymentHandle[Any], method: str, clock: Callable[[], float]
    ) -> None:
        self.stage = stage
        self._clock = clock
        # Batches of columns pickle in microseconds; cloudpickle, the default, is for closures.
        self._call = getattr(
            handle.options(
                _by_reference=False, request_serialization="pickle", response_serialization="pickle"
            ),
            method,
        )

    async def __call__(self, message: Any, budget_s: float) -> Any:
        """Send the message; no stage has side effects, so a lost call is simply sent again."""
        deadline = self._clock() + budget_s
        cause: BaseException = TimeoutError(f"no time was left ({budget_s:.3f} s)")
        while (left := deadline - self._clock()) > 0:
            try:
                async with asyncio.timeout(left):
                    return await self._call.remote(message)
            except TimeoutError:
                cause = TimeoutError(f"nothing came back within {budget_s:.3f} s")
            except (RayError, RayServeException, ConnectionError) as error:
                cause = error
                log.warning("stage %s failed, trying again: %s", self.stage, type(error).__name__)
                await asyncio.sleep(PAUSE_SECONDS)
        raise StageLostError(self.stage, str(cause) or type(cause).__name__) from cause
