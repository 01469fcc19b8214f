"""A way to a server that brings its answers late, as a network or an overloaded machine does."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.fronts import LOOPBACK, pass_on, serving


@dataclass
class SlowFront:
    """How late answers are, which a test may change at any time."""

    port: int = 0
    late_seconds: float = 0.0

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    async def bring(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, after a while."""
        with suppress(OSError):
            while part := await reader.read(65536):
                await asyncio.sleep(self.late_seconds)
                writer.write(part)
                await writer.drain()
        writer.close()


@contextmanager
def running(behind: int) -> Iterator[SlowFront]:
    front = SlowFront()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pass_on(reader, writer, behind, back=front.bring)

    with serving(take) as front.port:
        yield front
