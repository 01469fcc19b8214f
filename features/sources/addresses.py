"""Which addresses a server may have that an operator names: checked where a socket is opened.

The platform connects from where it runs, and so reaches what the operator may not: above all the
link-local addresses at which clouds hand a machine its own credentials. Loopback and private
networks stay allowed, for that is where people have their Prometheus.
"""

import socket
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiohttp import AddrInfoType

Address = IPv4Address | IPv6Address

# Clouds that serve credentials, or orders to a machine's agent, outside of the link-local range.
_METADATA: Final = {
    ip_address("100.100.100.200"),  # Alibaba Cloud
    ip_address("168.63.129.16"),  # Azure's host
    ip_address("192.0.0.192"),  # Oracle Cloud's classic machines
    ip_address("fd00:ec2::254"),  # AWS
    ip_address("fd20:ce::254"),  # Google Cloud
}
_NAT64: Final = IPv6Network("64:ff9b::/96")


class Distance(IntEnum):
    """How far from this process an address is."""

    MACHINE = 0
    NETWORK = 1
    OUTSIDE = 2


class RefusedAddressError(OSError):
    """An address that no source may be read from; where it is raised no socket was opened."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AddressGuard:
    """Opens the sockets to one server, whose name may come to lead elsewhere.

    Whoever owns a name can answer by a server of their own first, and then have the name lead to
    what only this machine reaches. So it never leads further inside than it did before.
    """

    def __init__(self) -> None:
        self._farthest = Distance.MACHINE

    def open(self, found: "AddrInfoType") -> socket.socket:
        """Open a socket for an address that a name was resolved to; RefusedAddressError else."""
        family, kind, protocol, _, place = found
        address = _address(str(place[0]))
        if (why := _why_refused(address)) is not None:
            raise RefusedAddressError(why)
        distance = _distance(address)
        if distance < self._farthest:
            raise RefusedAddressError(
                f"its name led further outside before, and now to {address}: if that is right, "
                "give the address in place of the name"
            )
        self._farthest = distance
        return socket.socket(family, kind, protocol)


def why_refused(host: str) -> str | None:
    """Say why no source may be at a host that is an address; None for others, and for names."""
    try:
        return _why_refused(_address(host.strip("[]")))
    except (ValueError, OSError):
        return None


def why_name_refused(host: str) -> str | None:
    """Say why no source may be at a host, by looking its name up; this blocks.

    For clients that open their own sockets: they go on to the next address where one is no good.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return None  # who connects says so
    reasons = [_why_refused(_address(str(each[4][0]))) for each in found]
    return reasons[0] if reasons and None not in reasons else None


def _address(text: str) -> Address:
    """Read an address; of one that stands for an IPv4 address, that one."""
    try:
        address = ip_address(text)
    except ValueError:  # 127.1 and digits in other bases, as whoever connects reads them
        address = IPv4Address(socket.inet_aton(text))
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _why_refused(address: Address) -> str | None:
    if address.is_link_local or address in _METADATA:
        return (
            f"{address} is an address at which machines and clouds hand out credentials, and no "
            "source is there: name the server that measures"
        )
    return None


def _distance(address: Address) -> Distance:
    if address.is_loopback or address.is_unspecified:  # one connects to the machine by either
        return Distance.MACHINE
    return Distance.OUTSIDE if address.is_global else Distance.NETWORK
