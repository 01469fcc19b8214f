"""Large answers leave in pieces, between which other requests get their turn.

A thousand rows are answered with more than a megabyte. In one write they would keep this loop for
milliseconds, and HAProxy's loop after it.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from deployments.gateway.large_requests.turns import Turns

PIECE_BYTES = 48 * 1024


def pieces_of(envelopes: Sequence[bytes]) -> Iterator[bytes]:
    """Write the list of all envelopes, a piece at a time."""
    held, size = [b"["], 1
    for at, envelope in enumerate(envelopes):
        held += (b",", envelope) if at else (envelope,)
        size += len(envelope) + 1
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    held.append(b"]")
    yield b"".join(held)


def length_of(envelopes: Sequence[bytes]) -> int:
    """Count the bytes of all pieces together."""
    return sum(map(len, envelopes)) + max(len(envelopes) - 1, 0) + 2


async def send_pieces(
    send: Callable[[Any], Awaitable[None]], envelopes: Sequence[bytes], turns: Turns
) -> None:
    """Send the body after its head; the last piece ends it."""
    left = length_of(envelopes)
    started = time.perf_counter()
    for piece in pieces_of(envelopes):
        left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
        if left:
            await turns.give(time.perf_counter() - started)
            started = time.perf_counter()
