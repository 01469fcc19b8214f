"""Batches through Serve's own handles: slower than the TCP transport, and all of it is Serve's.

Serve finds the replicas, chooses among them and notices their deaths. Keys are laid on a fixed
number of places; a place is a session of Serve's consistent-hash router, which keeps a session on
one replica while that one is there. Two gateways may differ for a moment when replicas change, as
on the TCP transport: a key's log takes an entry only from who knows its latest one.
"""

import asyncio
from collections.abc import Mapping
from contextvars import Context

from deployments.runtime.transport.base import Address, Link, ReplicaLostError, remote_failure
from deployments.runtime.transport.call import Call, Handler, answer_call
from deployments.runtime.transport.frame import ANSWER, ASK, Frame, body_of, decode, encode
from deployments.runtime.transport.handle import Caller, Handle

# A batch is sent in at most so many parts, and so many replicas of a stage can hold keys.
SESSIONS = 32
# Serve learns of a replica's death by itself; until then it may choose it again.
AGAIN_SECONDS = 0.05


class HandleTransport:
    """The gateway's end: nothing to open and nothing to close, both are Serve's."""

    def __init__(self, handle: Handle) -> None:
        by_value = handle.options(method_name="answer_bytes", _by_reference=False)
        self._any = HandleLink(by_value)
        self._sessions = {
            ("place", n): HandleLink(by_value.options(session_id=f"place-{n}"))
            for n in range(SESSIONS)
        }

    def start(self) -> None:
        """Do nothing: the first call opens what Serve needs."""

    async def stop(self) -> None:
        """Do nothing: the handle ends with its process."""

    async def pick_link(self, config_hash: str = "") -> Link:  # noqa: ARG002 - Serve chooses
        return self._any

    def responsive(self, config_hash: str = "") -> Mapping[Address, Link]:  # noqa: ARG002 - as above
        return self._sessions

    def avoided(self, config_hash: str) -> int:  # noqa: ARG002 - as above
        return 0


class HandleLink:
    """One handle; each call goes to the replica that Serve chooses."""

    def __init__(self, handle: Caller) -> None:
        self._handle = handle

    async def call(self, frame: Frame) -> Frame:
        asked = encode(frame, 0, ASK)
        # Serve ties a call to the request in whose context it is made and ends both together, but
        # a batch belongs to many requests; and it tells calls apart by their request's id.
        calling = asyncio.create_task(self._call(asked), context=Context())
        _, kind, answer = decode(body_of(await calling))
        if kind != ANSWER:
            raise remote_failure(str(answer.head.get("error")))
        return answer

    async def _call(self, asked: bytes) -> bytes:
        response = self._handle.remote(asked)
        try:
            answer = await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except Exception as error:  # a replica's own failures come as answers: this is Serve's
            await asyncio.sleep(AGAIN_SECONDS)
            raise ReplicaLostError(f"Serve did not answer ({error!r})") from error
        return answer


class HandleServer:
    """The replica's end. Serve's cancellation ends no answer halfway: it says that nobody waits.

    Neither does it come in every case, as when the gateway dies; so a call counts as given up at
    its deadline too, which travels in its head.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._answering: set[asyncio.Task[bytes]] = set()

    async def answer(self, asked: bytes) -> bytes:
        _, _, frame = decode(body_of(asked))
        call = Call()
        task = asyncio.create_task(answer_call(self._handler, 0, frame, call))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        budget_s = frame.head.get("budget_s")
        if budget_s is not None:
            late = asyncio.get_running_loop().call_later(budget_s, call.give_up)
            task.add_done_callback(lambda _: late.cancel())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            call.give_up()
            raise

    async def close(self) -> None:
        """Answer what came in."""
        if self._answering:
            await asyncio.wait(self._answering)
