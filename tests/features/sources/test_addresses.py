"""What an operator names is asked where people measure, and never where machines tell secrets."""

import socket
from typing import Any

import pytest
from aiohttp import AddrInfoType

from features.errors import FeatureError, SourceRefusedError
from features.sources.addresses import AddressGuard, RefusedAddressError, why_refused
from features.sources.kafka.client import open_consumer
from features.sources.kafka.config import KafkaTopic
from tests.features.sources.prometheus.lying import GOOD, START, asking, lying

SECRETS = [
    "169.254.169.254",
    "169.254.170.2",
    "[fe80::1]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "168.63.129.16",
]


def resolved(address: str, port: int = 80) -> AddrInfoType:
    return socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]


@pytest.mark.parametrize("host", SECRETS)
async def test_no_source_is_asked_at_an_address_of_secrets(host: str) -> None:
    async with asking(f"http://{host}") as api:
        with pytest.raises(SourceRefusedError, match="hand out credentials"):
            await api.query("up", START)


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0251.0376.169.254", "169.16689662"])
async def test_nor_at_one_in_other_bases(host: str) -> None:
    async with asking(f"http://{host}") as api:
        # The client itself takes some of them for no URL.
        with pytest.raises(FeatureError, match=r"hand out credentials|InvalidUrlClientError"):
            await api.query("up", START)


async def test_a_name_that_leads_there_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*_: Any, **__: Any) -> list[Any]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, ("169.254.169.254", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    async with asking("http://metadata.internal") as api:
        with pytest.raises(SourceRefusedError, match=r"169\.254\.169\.254"):
            await api.query("up", START)
    topic = KafkaTopic(servers=("metadata.internal:9092",), topic="t")
    with pytest.raises(SourceRefusedError, match=r"metadata\.internal:9092: 169\.254"):
        open_consumer("prod", topic, lambda _: None)


async def test_loopback_is_asked_by_address_and_by_name() -> None:
    async with lying(GOOD) as liar:
        for url in (liar.url, liar.url.replace("127.0.0.1", "localhost")):
            async with asking(url) as api:
                assert len(await api.query("up", START)) == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "10.0.0.8", "192.168.1.2", "172.17.0.1", "fd12::1", "8.8.8.8"]
)
def test_people_have_their_servers_anywhere_else(host: str) -> None:
    assert why_refused(host) is None
    AddressGuard().open(resolved(host)).close()


def test_what_is_no_address_is_looked_up_only_when_it_is_asked() -> None:
    assert why_refused("prometheus") is None
    assert why_refused("[fe80::1]") is not None
    assert why_refused("169.16689662") is not None


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("8.8.8.8", "127.0.0.1"),
        ("8.8.8.8", "10.0.0.8"),
        ("10.0.0.8", "127.0.0.1"),
        ("8.8.8.8", "::"),
    ],
)
def test_a_name_does_not_come_to_lead_further_inside(first: str, then: str) -> None:
    guard = AddressGuard()
    guard.open(resolved(first)).close()
    with pytest.raises(RefusedAddressError, match="further outside before"):
        guard.open(resolved(then))
    guard.open(resolved(first)).close()


def test_a_name_may_come_to_lead_further_outside() -> None:
    guard = AddressGuard()
    for address in ("127.0.0.1", "10.0.0.8", "10.0.0.9", "8.8.8.8", "9.9.9.9"):
        guard.open(resolved(address)).close()
