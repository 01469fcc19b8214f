"""Sends an answer's head and body in one write.

uvicorn writes each as it comes, and uvloop hands each write to the kernel at once: two calls, and
whoever reads, HAProxy and then the client, is woken for the head and again for the body.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Held:
    """A transport that keeps what is written until it is let go, and is the real one otherwise."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        if self._pieces:
            self._transport.write(b"".join(self._pieces))
            self._pieces.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@contextmanager
def in_one_write(send: Any) -> Iterator[None]:
    """Hold what uvicorn would write while the whole of an answer is sent; others are left alone."""
    cycle = getattr(send, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle):
        yield
        return
    real = cycle.transport
    held: Any = Held(real)
    cycle.transport = held
    try:
        yield
    finally:
        cycle.transport = real
        held.flush()
