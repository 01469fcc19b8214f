"""The client against a real socket that answers as it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest_asyncio

from benchmarks.chaos.books import Answer, Books, Wrong
from benchmarks.chaos.client import Client, connected, waits

Play = Callable[[int], bytes]
"""From the number of the request, counted from 0, to what goes down the wire; empty hangs up."""


def response(status: int, head: str = "", body: str = "{}") -> bytes:
    lines = (
        f"HTTP/1.1 {status} X",
        "content-type: application/json",
        f"content-length: {len(body)}",
    )
    return ("\r\n".join((*lines, *filter(None, [head]))) + "\r\n\r\n" + body).encode()


class Server:
    def __init__(self) -> None:
        self.play: Play = lambda _: response(200)
        self.asked = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = [line for line in head.split(b"\r\n") if line.startswith(b"content-length")]
            await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
            self.asked += 1
            if not (said := self.play(self.asked - 1)):
                break
            writer.write(said)
        writer.close()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await found.serve(reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        found.port = listening.sockets[0].getsockname()[1]
        yield found


async def sent(server: Server, books: Books, *accepted: int) -> Answer | None:
    async with connected(f"http://127.0.0.1:{server.port}", "key", 1) as http:
        client = Client(http, books)
        return await client.send("tail", "POST", "/x", {"a": 1}, accepted=accepted)


def books() -> Books:
    return Books(clock=lambda: 0.0)


async def test_it_sends_again_when_told_to_come_back(server: Server) -> None:
    server.play = lambda n: response(503, "retry-after: 0") if n < 2 else response(200)
    noted = books()
    answer = await sent(server, noted)
    assert answer is not None
    assert (answer.status, server.asked) == (200, 3)
    assert (noted.sent["tail"], noted.later["tail"], noted.wrong) == (3, 2, [])


async def test_it_sends_again_when_the_connection_broke(server: Server) -> None:
    server.play = lambda n: b"" if n == 0 else response(200)
    noted = books()
    assert await sent(server, noted) is not None
    assert noted.broken.total() == 1
    assert noted.wrong == []


async def test_a_wrong_answer_is_noted_and_the_request_sent_again(server: Server) -> None:
    server.play = lambda n: response(401) if n == 0 else response(200)
    noted = books()
    answer = await sent(server, noted)
    assert answer is not None
    assert answer.status == 200
    assert [each.wrong for each in noted.wrong] == [Wrong.UNAUTHORIZED]


async def test_what_is_accepted_ends_the_request(server: Server) -> None:
    server.play = lambda _: response(409)
    noted = books()
    answer = await sent(server, noted, 409)
    assert answer is not None
    assert (answer.status, noted.wrong) == (409, [])


async def test_it_gives_up_when_the_load_is_over() -> None:
    noted = books()
    async with connected("http://127.0.0.1:9", "key", 1) as http:
        client = Client(http, noted)
        sending = asyncio.create_task(client.send("tail", "GET", "/x"))
        await asyncio.sleep(0)
        client.give_up()
        assert await sending is None


def test_it_waits_as_long_as_it_is_told_within_reason() -> None:
    def pause_after(seconds: str | None) -> float:
        return waits(Answer(503, "application/json", seconds, b""))

    assert pause_after("3") == 3.0
    assert pause_after("3600") == 10.0
    assert pause_after(None) == pause_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0.25
