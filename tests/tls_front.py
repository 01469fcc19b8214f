"""TLS in front of a server that has none: what comes over it goes on in the clear, and back."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fronts import pass_on, serving


@contextmanager
def running(behind: int, certificate: Path, key: Path) -> Iterator[int]:
    """Give the port of TLS for the port behind it."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certificate, key)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pass_on(reader, writer, behind)

    with serving(take, trust) as port:
        yield port
