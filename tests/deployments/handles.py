"""What stands in Serve's place in the plain profile: handles that call replicas in this event loop.

As Serve does, it picks a replica for each call, keeps a session on one while that is there, fails
the calls of one that dies, and cancels the replica's task where a response is cancelled.
"""

import asyncio
import zlib
from collections.abc import Coroutine, Generator
from itertools import count
from typing import Any, Self

from ray.exceptions import RayActorError


class Response:
    def __init__(self, answering: Coroutine[Any, Any, bytes]) -> None:
        self._task = asyncio.ensure_future(answering)

    def __await__(self) -> Generator[Any, None, bytes]:
        return asyncio.shield(self._task).__await__()

    def cancel(self) -> None:
        self._task.cancel()


class InProcessHandle:
    def __init__(self) -> None:
        self.replicas: list[Any] = []
        self.calls = 0
        self._dying: dict[int, asyncio.Event] = {}
        self._turns = count()

    def options(self, *, session_id: str = "", **options: Any) -> "Bound":
        assert options in ({"method_name": "answer_bytes", "_by_reference": False}, {})
        return Bound(self, session_id)

    def kill(self, replica: Any) -> None:
        self.replicas.remove(replica)
        self._dying.setdefault(id(replica), asyncio.Event()).set()

    async def ask(self, session: str, asked: bytes) -> bytes:
        self.calls += 1
        if not self.replicas:
            await asyncio.Event().wait()  # Serve waits for one without end
        turn = zlib.crc32(session.encode()) if session else next(self._turns)
        replica = self.replicas[turn % len(self.replicas)]
        dies = asyncio.ensure_future(self._dying.setdefault(id(replica), asyncio.Event()).wait())
        answer: asyncio.Task[bytes] = asyncio.create_task(replica.answer_bytes(asked))
        try:
            await asyncio.wait({dies, answer}, return_when=asyncio.FIRST_COMPLETED)
            if dies.done():
                raise RayActorError
            return await answer
        finally:
            dies.cancel()
            answer.cancel()


class Bound:
    def __init__(self, handle: InProcessHandle, session: str) -> None:
        self._handle = handle
        self._session = session

    def options(self, *, session_id: str) -> Self:
        return type(self)(self._handle, session_id)

    def remote(self, asked: bytes) -> Response:
        return Response(self._handle.ask(self._session, asked))
