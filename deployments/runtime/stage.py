"""What makes a deployment a stage of the DAG: it answers frames over both transports."""

from abc import abstractmethod
from typing import Any, Generic, TypeVar

from access.wire_secret import wire_secret
from config_store.errors import VersionAwayError
from config_store.store import ConfigStore, Version
from config_store.versions import Live, LiveVersions
from deployments.runtime import own_cluster
from deployments.runtime.autoscaling import METRIC
from deployments.runtime.batch import requests_of
from deployments.runtime.replica import Replica
from deployments.runtime.transport.call import BatchRefusedError
from deployments.runtime.transport.frame import Frame
from deployments.runtime.transport.replica_directory import SIGN_SECONDS, DirectoryEntry
from deployments.runtime.transport.serve_handle import HandleServer
from deployments.runtime.transport.tcp.greeting import stage_secret
from deployments.runtime.transport.tcp.server import WireServer
from deployments.runtime.transport.tcp.tls import Certificates
from observability.logs import request_ids
from settings.redis_connection import REDIS_AWAY

Compiled = TypeVar("Compiled")


class Stage(Generic[Compiled]):
    """A subclass says what it needs of a version, and answers each frame by the version it names.

    What it needs is compiled once for each version, and several versions are alive at a time.
    """

    def __init__(self, role: str) -> None:
        self._role = role
        self.replica = Replica(role)
        self.replica.follow(self.configure)
        self.versions = LiveVersions(ConfigStore(self.replica.redis).get, self.compile)

    async def open(self) -> None:
        await self.replica.open()
        self._through_serve = HandleServer(self._answer_logged)
        if not self.replica.settings.plain:
            await self._listen()

    async def _listen(self) -> None:
        secret = await wire_secret(self.replica.redis)
        certificates = Certificates.of(self.replica.settings)
        self._wire = WireServer(self._answer_logged, stage_secret(secret, self._role))
        self._address = await self._wire.open(
            own_cluster.node_address(), certificates.for_replica() if certificates else None
        )
        redis, wall = self.replica.redis, self.replica.clocks.wall
        self._entry = DirectoryEntry(redis, self._role, self._address, wall)
        self._signing = self.replica.loops.start(
            "sign the replica directory",
            self._entry.sign,
            lambda: SIGN_SECONDS,
            expected=REDIS_AWAY,
        )

    @abstractmethod
    async def answer(self, frame: Frame, compiled: Compiled) -> Frame:
        """Answer by what was compiled of the version in the frame's head, and by no other."""

    @abstractmethod
    def compile(self, version: Version) -> Compiled:
        """Make of a version what answers need of it; called once for each that is alive."""

    def configure(self, version: Version) -> None:
        """Take over the notice of a version; batches choose theirs by themselves."""
        self.versions.activate(version)

    async def _answer_logged(self, frame: Frame) -> Frame:
        """Answer; what is logged on the way names the requests of the batch."""
        head = frame.head
        request_ids.set(requests_of(head))  # each frame is answered in a task of its own
        number, config_hash = head.get("version", 0), head.get("config_hash", "")
        live = self.versions.held(number, config_hash)
        if live is None:
            live = await self._fetched(number, config_hash, head.get("budget_s"))
        answer = await self.answer(frame, live.compiled)
        answer.head["version"] = live.number
        return answer

    async def _fetched(
        self, number: int, config_hash: str, budget_s: float | None
    ) -> Live[Compiled]:
        try:
            return await self.versions.get(number, config_hash, budget_s)
        except VersionAwayError as away:
            raise BatchRefusedError(str(away)) from away

    async def answer_bytes(self, asked: bytes) -> bytes:
        """Answer a frame that comes through a handle of Serve's."""
        return await self._through_serve.answer(asked)

    async def where(self) -> tuple[str, int]:
        """Tell a gateway, which asks through Serve while Redis is away, where this replica is."""
        return self._address

    def record_autoscaling_stats(self) -> dict[str, Any]:
        """Tell Serve how busy the replica is: what comes over the wire it does not see."""
        return {METRIC: self.replica.busy.share()}

    async def leave(self) -> None:
        """Take no further batch, and answer what came in."""
        if not self.replica.settings.plain:
            await self.replica.loops.stop(self._signing)
            await self._entry.withdraw()
            await self._wire.close()
        await self._through_serve.close()

    async def close(self) -> None:
        await self.leave()
        await self.replica.close()
