"""TLS in front of a server that has none: what comes over it goes on in the clear, and back."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.ports import any_free_port


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    writer.close()


@contextmanager
def running(behind: int, certificate: Path, key: Path) -> Iterator[int]:
    """Give the port of TLS for the port behind it."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certificate, key)
    port, loop = any_free_port(), asyncio.new_event_loop()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            there, back = await asyncio.open_connection("127.0.0.1", behind)
            writers.append(back)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        except OSError:
            return  # the client is told by a closed connection
        finally:
            for each in writers:
                each.transport.abort()

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(take, "127.0.0.1", port, ssl=trust)

    async def end(server: asyncio.Server) -> None:
        server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed by the loop

    server = loop.run_until_complete(listen())
    serving = threading.Thread(target=loop.run_forever)
    serving.start()
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        serving.join()
        loop.close()
