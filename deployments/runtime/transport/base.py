"""What a gateway needs of its way to a stage, whichever of the two transports that is."""

from collections.abc import Mapping
from typing import Protocol

from deployments.runtime.transport.frame import Frame

# Where keys can live: on the TCP transport a replica's host and port.
Address = tuple[str, int]


class ReplicaLostError(ConnectionError):
    """The replica hung up, or died, before it had answered: another one can be asked."""


class RemoteFailureError(Exception):
    """The replica answered that it could not: sending the same again would not help."""


class Link(Protocol):
    """A way on which batches are sent."""

    async def call(self, frame: Frame) -> Frame:
        """Send the frame and wait for its answer; a caller that is cancelled has given up.

        ReplicaLostError or RemoteFailureError where none comes.
        """


class Transport(Protocol):
    """Reaches the replicas of one stage."""

    def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def some(self) -> Link:
        """Give a way to a replica with little to do; wait while there is none."""

    def responsive(self) -> Mapping[Address, Link]:
        """Give every address that a key can live on now; each stands for one replica."""
