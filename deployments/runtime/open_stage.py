"""A stage that answers, over both transports: opened as one, and closed as one."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Self

from deployments.runtime.listener import Listener
from deployments.runtime.replica import Replica
from deployments.runtime.stage import Stage
from deployments.runtime.transport.base import Address
from deployments.runtime.transport.serve_handle import HandleServer
from observability.background import BackgroundLoop
from settings.redis_connection import REDIS_AWAY

# How soon a rollout's candidate is loaded; less than what the first step's begin is put off by.
CANDIDATE_SECONDS = 1.0


class OpenStage:
    """`opened` makes one; in the plain profile it has no listener, for Serve carries all calls."""

    def __init__(
        self,
        stage: Stage[Any],
        through_serve: HandleServer,
        listener: Listener | None,
        undo: AsyncExitStack,
    ) -> None:
        self.stage = stage
        self.listener = listener
        self._through_serve = through_serve
        self._undo = undo

    @classmethod
    async def opened(
        cls, role: str, make: Callable[[Replica], Stage[Any]], *, warmed: bool = True
    ) -> Self:
        """Open everything; where one part cannot be opened, close those that were.

        Closing goes the other way: what comes in is answered before the stage lets go of what it
        answers from.
        """
        async with AsyncExitStack() as undo:
            replica = Replica(role)
            undo.push_async_callback(replica.close)
            stage = make(replica)
            undo.push_async_callback(stage.close)
            await stage.prepare()
            if warmed:
                await stage.warm()
            replica.follow(stage.configure)
            await replica.open()
            through_serve = HandleServer(stage.answer_logged)
            undo.push_async_callback(through_serve.close)
            listener = None
            if not replica.settings.plain:
                listener = await Listener.opened(
                    replica, role, stage.answer_logged, stage.versions.hashes
                )
                undo.push_async_callback(listener.close)
            undo.push_async_callback(_stop, replica, [*stage.start_work(), _loading(stage)])
            return cls(stage, through_serve, listener, undo.pop_all())

    async def answer_bytes(self, asked: bytes) -> bytes:
        """Answer a frame that comes through a handle of Serve's."""
        return await self._through_serve.answer(asked)

    async def where(self) -> Address:
        """Tell a gateway, which asks through Serve while Redis is away, where this replica is."""
        if self.listener is None:
            raise RuntimeError("In the plain profile a replica listens on no port of its own")
        return self.listener.address

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Tell Serve of the replica's load: what comes over the wire it does not see."""
        return self.stage.replica.report_load()

    async def close(self) -> None:
        await self._undo.aclose()


def _loading(stage: Stage[Any]) -> BackgroundLoop:
    """Begin to load each rollout's candidate ahead of its first batch."""
    return stage.replica.loops.start(
        "load the candidate", stage.load_candidate, lambda: CANDIDATE_SECONDS, expected=REDIS_AWAY
    )


async def _stop(replica: Replica, work: list[BackgroundLoop]) -> None:
    for loop in work:
        await replica.loops.stop(loop)
