"""Reading the ledger's stream from a real Redis, a piece at a time."""

import pytest
from redis.asyncio import Redis

from observability.ledger.stream import FIRST_PIECE, PIECE_BYTES, LedgerStream, Message

NAME = "ballast:ledger"
LARGE = 60_000


class Watched(LedgerStream):
    """Notes how much Redis was asked for at once."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, name=NAME)
        self.pieces: list[int] = []

    async def read(self, after: str | None, count: int) -> list[Message]:
        found = await super().read(after, count)
        self.pieces.append(sum(len(message.data) for message in found))
        return found

    async def _read_back(self, end: str, count: int) -> list[Message]:
        found = await super()._read_back(end, count)
        self.pieces.append(sum(len(message.data) for message in found))
        return found


async def fill(client: Redis, sizes: list[int]) -> None:
    for at, size in enumerate(sizes):
        await client.xadd(NAME, {"e": bytes([at % 251]) * size}, id=f"{at + 1}-0")


@pytest.mark.parametrize("count", [1, 3, 50, 100, 101, 200])
async def test_pieces_are_together_what_one_read_gives(client: Redis, count: int) -> None:
    await fill(client, [(0, 10, 3_000, LARGE)[at * 7919 % 97 % 4] for at in range(100)])
    stream = LedgerStream(client, name=NAME)
    for after in (None, "1-0", "40-0", "100-0"):
        assert await stream.read_in_pieces(after, count) == await stream.read(after, count)


async def test_redis_copies_no_more_at_once_than_a_piece(client: Redis) -> None:
    await fill(client, [LARGE] * 100)
    stream = Watched(client)
    assert len(await stream.read_in_pieces(None, 100)) == 100
    assert max(stream.pieces) <= max(PIECE_BYTES, FIRST_PIECE * LARGE)


async def test_small_messages_do_not_cost_a_question_each(client: Redis) -> None:
    await fill(client, [100] * 500)
    stream = Watched(client)
    assert len(await stream.read_in_pieces(None, 500)) == 500
    assert len(stream.pieces) < 10


@pytest.mark.parametrize("chunk", [1, 8, 500])
async def test_backwards_it_is_read_in_pieces_too(client: Redis, chunk: int) -> None:
    await fill(client, [(100, LARGE)[at % 5 == 0] for at in range(50)] + [LARGE] * 50)
    stream = Watched(client)
    found = [message async for message in stream.newest_first(chunk)]
    assert found == (await LedgerStream(client, name=NAME).read(None, 100))[::-1]
    assert max(stream.pieces) <= max(PIECE_BYTES, FIRST_PIECE * LARGE)


async def test_small_messages_backwards_do_not_cost_a_question_each(client: Redis) -> None:
    await fill(client, [100] * 500)
    stream = Watched(client)
    assert len([message async for message in stream.newest_first(500)]) == 500
    assert len(stream.pieces) < 10
