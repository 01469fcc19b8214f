"""A replica's own port on the TCP transport, and its entry in the directory that names it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

from access.wire_secret import wire_secret
from deployments.runtime import own_cluster
from deployments.runtime.replica import Replica
from deployments.runtime.transport.base import Address
from deployments.runtime.transport.call import Handler
from deployments.runtime.transport.replica_directory import DirectoryEntry
from deployments.runtime.transport.tcp.handshake import stage_secret
from deployments.runtime.transport.tcp.server import WireServer
from deployments.runtime.transport.tcp.tls import Certificates
from settings.redis_connection import REDIS_AWAY


class Listener:
    """Listens and signs from the start on, until it is closed."""

    def __init__(self, replica: Replica, role: str, server: WireServer, address: Address) -> None:
        self._replica = replica
        self.server = server
        self.address = address
        self._entry = DirectoryEntry(replica.redis, role, address)

    @classmethod
    async def opened(
        cls, replica: Replica, role: str, handler: Handler, holds: Callable[[], Sequence[str]]
    ) -> Self:
        secret = await wire_secret(replica.redis)
        certificates = Certificates.of(replica.settings)
        server = WireServer(handler, stage_secret(secret, role), holds)
        address = await server.open(
            own_cluster.node_address(), certificates.for_replica() if certificates else None
        )
        listener = cls(replica, role, server, address)
        with suppress(*REDIS_AWAY):  # the next report signs it
            await listener._entry.sign()
        replica.sign(listener._entry.place)
        return listener

    async def close(self) -> None:
        """Take no further batch, and answer what came in."""
        await self._replica.end_signing()
        await self._entry.withdraw()
        await self.server.close()
