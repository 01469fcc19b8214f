"""Sends an answer's head and body in one write.

uvicorn writes each as it comes, and uvloop hands each write to the kernel at once: two calls, and
whoever reads, HAProxy and then the client, is woken for the head and again for the body. What it
does besides for an answer of known length, for each header of each answer, costs as much as the
write; so the bytes are put together here, and uvicorn's record of the request is brought up to date
as its own `send` would do it. A test holds the two against each other, byte for byte. In the
profile `plain` uvicorn writes all by itself.
"""

from collections.abc import Sequence
from typing import Any

from starlette.types import Message, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

Header = tuple[bytes, bytes]


async def send_at_once(send: Send, status: int, headers: Sequence[Header], body: bytes) -> None:
    """Send the whole answer, in one write where that can be."""
    if not _written_at_once(send, status, headers, body):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def in_pieces(send: Send) -> Send:
    """Give a `send` whose answers uvicorn writes by itself, as they come."""

    async def send_piece(message: Message) -> None:
        await send(message)

    return send_piece


def _written_at_once(send: Any, status: int, headers: Sequence[Header], body: bytes) -> bool:
    """Write the whole answer if uvicorn would write it now; otherwise leave it to `send`.

    The headers are ours: names in lower case, one of them the body's length.
    """
    cycle = getattr(send, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle) or not _at_hand(cycle):
        return False
    pieces = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        pieces += (name, b": ", value, b"\r\n")
    pieces.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
    pieces.append(body)
    cycle.transport.write(b"".join(pieces))
    _complete(cycle)
    return True


def _at_hand(cycle: RequestResponseCycle) -> bool:
    """Tell whether nothing of the answer has left, its client is there and takes it at once."""
    return not (
        cycle.response_started
        or cycle.disconnected
        or cycle.flow.write_paused
        or cycle.access_log
        or cycle.scope["method"] == "HEAD"
    )


def _complete(cycle: RequestResponseCycle) -> None:
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.chunked_encoding = False
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
