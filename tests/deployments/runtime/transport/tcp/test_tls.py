import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.runtime.hop import Hop
from deployments.runtime.transport.frame import Frame
from deployments.runtime.transport.tcp import server as server_module
from deployments.runtime.transport.tcp.channel import Channel
from deployments.runtime.transport.tcp.exchange import Exchange
from deployments.runtime.transport.tcp.server import WireServer
from deployments.runtime.transport.tcp.tls import Certificates
from settings.environment import Settings
from tests.deployments.replicas import SECRET, Directory, kill
from tests.deployments.runtime.transport.tcp.certificates import Authority
from tests.waiting import PATIENCE_SECONDS, until

QUESTION = Frame({"load": np.array([0.5])})
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
# A certificate of a node that is let in, and ways of not being one.
Open = Callable[[Certificates], Awaitable[tuple[str, int]]]


async def echo(frame: Frame) -> Frame:
    return frame


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "a stranger's")


@pytest.fixture
async def servers() -> AsyncIterator[list[WireServer]]:
    opened: list[WireServer] = []
    yield opened
    for each in opened:
        kill(each)
    await asyncio.sleep(0)


@pytest.fixture
def open_replica(servers: list[WireServer]) -> Open:
    async def open_(certificates: Certificates) -> tuple[str, int]:
        servers.append(WireServer(echo, SECRET))
        return await servers[-1].open(HERE, certificates.for_replica())

    return open_


async def answers(at: tuple[str, int], tls: ssl.SSLContext | None) -> list[float]:
    """Ask the replica; an OSError where it does not let this gateway in."""
    channel = await Channel.connect(*at, SECRET, tls)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            found: list[float] = (await channel.call(QUESTION)).columns["load"].tolist()
    finally:
        channel.close()
        await asyncio.sleep(0)
    return found


async def test_who_has_a_certificate_of_the_authority_is_answered(
    authority: Authority, open_replica: Open
) -> None:
    node = authority.issue(HERE)
    at = await open_replica(node)
    assert await answers(at, node.for_gateway()) == [0.5]
    # A gateway's own certificate may be for any address: nobody connects to it.
    assert await answers(at, authority.issue(ELSEWHERE).for_gateway()) == [0.5]


async def test_who_has_another_one_or_none_is_not(
    authority: Authority, stranger: Authority, open_replica: Open, servers: list[WireServer]
) -> None:
    at = await open_replica(authority.issue(HERE))
    foreign = replace(stranger.issue(HERE), authority=authority.file)
    bare = ssl.create_default_context(cafile=authority.file)
    for refused in (foreign.for_gateway(), bare, None):
        with pytest.raises(OSError):  # noqa: PT011 - lost, reset or refused, as it comes
            await answers(at, refused)
    await until(lambda: not servers[0]._connections)


async def test_who_sends_no_handshake_is_hung_up_on(
    authority: Authority, open_replica: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "GREETING_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection(*await open_replica(authority.issue(HERE)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await reader.read() == b""
    writer.close()


async def test_a_gateway_trusts_no_replica_of_another_authority_or_address(
    authority: Authority, stranger: Authority, open_replica: Open
) -> None:
    gateway = authority.issue(HERE).for_gateway()
    for impostor in (
        replace(stranger.issue(HERE), authority=authority.file),
        authority.issue(ELSEWHERE),
    ):
        at = await open_replica(impostor)
        with pytest.raises(ssl.SSLCertVerificationError):
            await Channel.connect(*at, SECRET, gateway)


async def test_what_travels_cannot_be_read(
    authority: Authority, open_replica: Open, servers: list[WireServer]
) -> None:
    node = authority.issue(HERE)
    at = await open_replica(node)
    seen = bytearray()

    async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while piece := await source.read(65536):
            seen.extend(piece)
            target.write(piece)
        target.close()

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_connection(*at)
        await asyncio.gather(pass_on(reader, onward_writer), pass_on(onward_reader, writer))

    listener = await asyncio.start_server(between, HERE, 0)
    overheard: tuple[str, int] = listener.sockets[0].getsockname()
    servers[0]._address = overheard  # or it would notice that somebody stands between
    try:
        assert await answers(overheard, node.for_gateway()) == [0.5]
    finally:
        listener.close()
    assert seen
    assert SECRET not in seen
    assert b"load" not in seen


async def test_an_exchange_reaches_replicas_over_tls(
    authority: Authority, open_replica: Open, servers: list[WireServer]
) -> None:
    node = authority.issue(HERE)
    as_handle: Any = Directory(await open_replica(node))
    exchange = Exchange("stage", as_handle, SECRET, tls=node.for_gateway())
    exchange.start()
    try:
        answer = await Hop("stage", exchange, time.monotonic)(QUESTION, PATIENCE_SECONDS)
    finally:
        await exchange.stop()
    assert answer.columns["load"].tolist() == [0.5]
    await until(lambda: not servers[0]._connections)


def test_the_certificates_are_those_that_ray_goes_by(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Certificates.of(Settings()) is None
    node = authority.issue(HERE)
    monkeypatch.setenv("RAY_TLS_SERVER_CERT", str(node.own))
    monkeypatch.setenv("RAY_TLS_SERVER_KEY", str(node.key))
    monkeypatch.setenv("RAY_TLS_CA_CERT", str(node.authority))
    assert Certificates.of(Settings()) is None
    monkeypatch.setenv("RAY_USE_TLS", "1")
    assert Certificates.of(Settings()) == node
