"""What makes a deployment a stage of the DAG: it answers frames over the wire, and says where."""

from abc import abstractmethod
from typing import Any

import ray

from config_store.store import Version
from config_store.wire_secret import wire_secret
from deployments.autoscaling import METRIC
from deployments.batch import requests_of
from deployments.replica import Replica
from deployments.wire.frame import Frame
from deployments.wire.server import WireServer
from observability.logs import request_ids


class Stage:
    """A subclass says what it answers, and what a new configuration changes."""

    def __init__(self, role: str) -> None:
        self.replica = Replica(role, self.configure)

    async def open(self) -> None:
        self.configure(await self.replica.open())
        secret = await wire_secret(self.replica.redis)
        self._wire = WireServer(self._answer_logged, secret)
        self._address = await self._wire.open(ray.util.get_node_ip_address())

    @abstractmethod
    async def answer(self, frame: Frame) -> Frame: ...

    @abstractmethod
    def configure(self, version: Version) -> None: ...

    async def _answer_logged(self, frame: Frame) -> Frame:
        """Answer; what is logged on the way names the requests of the batch."""
        request_ids.set(requests_of(frame.head))  # each frame is answered in a task of its own
        return await self.answer(frame)

    async def where(self) -> tuple[str, int]:
        """Tell a gateway, which asks through Serve, where this replica listens."""
        return self._address

    def record_autoscaling_stats(self) -> dict[str, Any]:
        """Tell Serve how busy the replica is: what comes over the wire it does not see."""
        return {METRIC: self.replica.busy.share()}

    async def close(self) -> None:
        await self._wire.close()
        await self.replica.close()
