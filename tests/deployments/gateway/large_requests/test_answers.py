import asyncio
from typing import Any

import orjson
import pytest

from deployments.gateway.large_requests.answers import (
    PIECE_BYTES,
    length_of,
    pieces_of,
    send_pieces,
)
from deployments.gateway.large_requests.turns import Turns


def envelopes(count: int, size: int) -> list[bytes]:
    return [orjson.dumps({"row": at, "text": "x" * size}) for at in range(count)]


@pytest.mark.parametrize(("count", "size"), [(0, 0), (1, 9), (2, 0), (1000, 1500), (3, 200_000)])
def test_the_pieces_are_together_the_list_of_all_rows(count: int, size: int) -> None:
    rows = envelopes(count, size)
    written = b"".join(pieces_of(rows))
    assert orjson.loads(written) == [orjson.loads(each) for each in rows]
    assert len(written) == length_of(rows)


def test_no_piece_is_much_larger_than_the_bound() -> None:
    rows = envelopes(1000, 1500)
    sizes = [len(piece) for piece in pieces_of(rows)]
    assert max(sizes) < PIECE_BYTES + 2 * len(rows[0])
    assert min(sizes[:-1]) >= PIECE_BYTES


@pytest.mark.parametrize("count", [100, 64])
async def test_others_have_the_loop_between_two_pieces_and_the_last_one_ends_the_body(
    count: int,
) -> None:
    rows = envelopes(count, PIECE_BYTES // 2)
    sent: list[Any] = []
    others_at: list[int] = []

    async def send(message: Any) -> None:
        sent.append(message)

    sending = asyncio.create_task(send_pieces(send, rows, Turns()))
    while not sending.done():
        others_at.append(len(sent))
        await asyncio.sleep(0)
    assert len(set(others_at)) >= count // 3
    assert [message["more_body"] for message in sent] == [True] * (len(sent) - 1) + [False]
    assert b"".join(message["body"] for message in sent) == b"[" + b",".join(rows) + b"]"
