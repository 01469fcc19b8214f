"""A replica's own port on the TCP transport, and its entry in the directory that names it."""

from collections.abc import Callable, Sequence
from typing import Self

from access.wire_secret import wire_secret
from deployments.runtime import own_cluster
from deployments.runtime.replica import Replica
from deployments.runtime.transport.base import Address
from deployments.runtime.transport.call import Handler
from deployments.runtime.transport.replica_directory import SIGN_SECONDS, DirectoryEntry
from deployments.runtime.transport.tcp.handshake import stage_secret
from deployments.runtime.transport.tcp.server import WireServer
from deployments.runtime.transport.tcp.tls import Certificates
from settings.redis_connection import REDIS_AWAY


class Listener:
    """Listens and signs from the start on, until it is closed."""

    def __init__(self, replica: Replica, role: str, server: WireServer, address: Address) -> None:
        self._loops = replica.loops
        self.server = server
        self.address = address
        self._entry = DirectoryEntry(replica.redis, role, address, replica.clocks.wall)
        self._signing = replica.loops.start(
            "sign the replica directory",
            self._entry.sign,
            lambda: SIGN_SECONDS,
            expected=REDIS_AWAY,
        )

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
        return cls(replica, role, server, address)

    async def close(self) -> None:
        """Take no further batch, and answer what came in."""
        await self._loops.stop(self._signing)
        await self._entry.withdraw()
        await self.server.close()
