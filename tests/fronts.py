"""Servers in front of another one, which change what passes; each runs in a thread of its own."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress

from tests.ports import any_free_port

Copy = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]
LOOPBACK = "127.0.0.1"
ENDS_WITHIN_SECONDS = 40.0


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, until nothing more does."""
    with suppress(OSError):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    writer.close()


async def pass_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    behind: int,
    *,
    there: Copy = copy,
    back: Copy = copy,
) -> None:
    """Connect a client with the port behind, until either has enough."""
    writers = [writer]
    try:
        answers, asks = await asyncio.open_connection(LOOPBACK, behind)
        writers.append(asks)
        await asyncio.gather(there(reader, asks), back(answers, writer))
    except (OSError, asyncio.CancelledError):
        return  # the client is told by a closed connection; the end of a test is no error
    finally:
        for each in writers:
            each.transport.abort()


@contextmanager
def serving(take: Copy, trust: ssl.SSLContext | None = None) -> Iterator[int]:
    """Give the port at which each connection is taken."""
    port, loop = any_free_port(), asyncio.new_event_loop()

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(take, LOOPBACK, port, ssl=trust)

    async def end(server: asyncio.Server) -> None:
        server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed by the loop

    server = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        try:
            asyncio.run_coroutine_threadsafe(end(server), loop).result(ENDS_WITHIN_SECONDS)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
