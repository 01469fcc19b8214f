"""What a gateway needs of its way to a stage, whichever of the two transports that is."""

from collections.abc import Mapping
from typing import Protocol

from deployments.runtime.transport.call import BatchRefusedError
from deployments.runtime.transport.frame import Frame

# Where keys can live: on the TCP transport a replica's host and port.
Address = tuple[str, int]


class ReplicaLostError(ConnectionError):
    """The replica hung up, or died, before it had answered: another one can be asked."""


class RemoteFailureError(Exception):
    """The replica answered that it could not: sending the same again would not help."""


class VersionLackedError(RemoteFailureError):
    """The replica cannot have the version that the batch names: another one may have it."""


def remote_failure(error: str) -> RemoteFailureError:
    """Give what a replica's failure is to its caller, by the name that it sent."""
    if error == BatchRefusedError.__name__:
        return VersionLackedError(error)
    return RemoteFailureError(error)


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

    async def pick_link(self, config_hash: str = "") -> Link:
        """Give a way to a replica with little to do; wait while there is none.

        One that lacks the document with this hash is left out while another has it.
        """

    def responsive(self, config_hash: str = "") -> Mapping[Address, Link]:
        """Give every address that a key can live on now; each stands for one replica."""

    def avoided(self, config_hash: str) -> int:
        """Count the replicas that are left out for this document."""
