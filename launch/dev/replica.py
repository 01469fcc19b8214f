"""Replicas in one event loop, named to the gateway as Serve's handles name theirs."""

import asyncio
from typing import Self

from deployments.runtime.open_stage import OpenStage


class OneReplica:
    """Stands for the one replica of a stage, as a handle of Serve's does for all of them."""

    def __init__(self) -> None:
        self.replica: OpenStage | None = None

    @property
    def where(self) -> "AddressQuestion":
        return AddressQuestion(self)

    def options(self, *, method_name: str, _by_reference: bool) -> "Calls":
        """Give what calls the replica in the plain profile; all sessions are on the same one."""
        return Calls(self, method_name)

    def started(self) -> OpenStage:
        if self.replica is None:
            raise ConnectionError("the stage has not started yet")
        return self.replica


class AddressQuestion:
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
