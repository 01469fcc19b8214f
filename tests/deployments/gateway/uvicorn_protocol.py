"""uvicorn's own protocol on a transport that remembers what it was given to write."""

import asyncio
from typing import Any

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tests.waiting import until


class Remembering(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = 0

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed += 1

    def is_closing(self) -> bool:
        return bool(self.closed)

    def pause_reading(self) -> None:
        return

    def resume_reading(self) -> None:
        return


def new_protocol(app: ASGIApp, *, access_log: bool = False) -> HttpToolsProtocol:
    config = Config(app, lifespan="off", log_config=None, access_log=access_log)
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"Thu, 26 Nov 2026 20:00:00 GMT"), (b"server", b"uvicorn")]
    return HttpToolsProtocol(config, state, {})


def request(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "host: here", *headers, "", ""]
    return "\r\n".join(lines).encode()


async def answered(app: ASGIApp, raw: bytes, *, access_log: bool = False) -> tuple[bytes, int]:
    """Give all that is written to a connection that sends this, and how often it was closed."""
    protocol, transport = new_protocol(app, access_log=access_log), Remembering()
    protocol.connection_made(transport)
    protocol.data_received(raw)
    await until(lambda: protocol.cycle is not None and protocol.cycle.response_complete)
    await until(lambda: not protocol.tasks)
    protocol.connection_lost(None)
    return b"".join(transport.written), transport.closed
