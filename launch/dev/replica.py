"""Replicas in one event loop: begun and ended where Serve would do it, and named to the gateway."""

import asyncio
from typing import Any, Self, TypeVar

from deployments.runtime.stage import Stage

AnyStage = TypeVar("AnyStage", bound=Stage[Any])


async def begin(stage: type[AnyStage]) -> AnyStage:
    """Make a replica of the stage and run its constructor, which Serve awaits."""
    replica = unstarted(stage)
    begun: Any = replica.__init__()  # type: ignore[misc] # see above
    await begun
    return replica


def unstarted(stage: type[AnyStage]) -> AnyStage:
    """Give a replica whose constructor has not run."""
    # The interpreter would call the destructor too, and nobody would await it.
    plain = type(stage.__name__, (stage,), {"__del__": lambda _: None})
    replica: AnyStage = object.__new__(plain)
    return replica


async def end(replica: Stage[Any]) -> None:
    """Run the destructor, which Serve awaits."""
    stage: Any = type(replica).__mro__[1]
    await stage.__del__(replica)


class OneReplica:
    """Stands for the one replica of a stage, as a handle of Serve's does for all of them."""

    def __init__(self) -> None:
        self.replica: Stage[Any] | None = None

    @property
    def where(self) -> "Whereabouts":
        return Whereabouts(self)

    def options(self, *, method_name: str, _by_reference: bool) -> "Calls":
        """Give what calls the replica in the plain profile; all sessions are on the same one."""
        return Calls(self, method_name)

    def started(self) -> Stage[Any]:
        if self.replica is None:
            raise ConnectionError("the stage has not started yet")
        return self.replica


class Whereabouts:
    """The question where the replica listens."""

    def __init__(self, of: OneReplica) -> None:
        self._of = of

    async def remote(self) -> tuple[str, int]:
        return await self._of.started().where()


class Calls:
    """Calls a method of the replica, each time in a task of its own."""

    def __init__(self, of: OneReplica, method_name: str) -> None:
        self._of = of
        self._method_name = method_name

    def options(self, *, session_id: str) -> Self:  # noqa: ARG002 - there is one replica
        return self

    def remote(self, asked: bytes, /) -> asyncio.Task[bytes]:
        return asyncio.create_task(self._answer(asked))

    async def _answer(self, asked: bytes) -> bytes:
        answer: bytes = await getattr(self._of.started(), self._method_name)(asked)
        return answer
