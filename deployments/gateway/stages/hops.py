"""The gateway's ways to the stages: a transport to each, and over it the hops of the pipelines."""

from collections.abc import Mapping
from dataclasses import dataclass

from deployments.anomaly.telemetry.keys import KIND
from deployments.api.endpoint import InferenceEndpoint
from deployments.runtime.hop import AnyReplica, Hop, ModelHop
from deployments.runtime.replica import Replica
from deployments.runtime.state.routing import ByKey
from deployments.runtime.transport.base import Transport
from deployments.runtime.transport.handle import Handle
from deployments.runtime.transport.replica_directory import DirectoryWatch, ReplicaDirectory
from deployments.runtime.transport.serve_handle import HandleTransport
from deployments.runtime.transport.tcp.exchange import Exchange
from deployments.runtime.transport.tcp.handshake import stage_secret
from deployments.runtime.transport.tcp.tls import Certificates


@dataclass(frozen=True, slots=True)
class Handles:
    """The deployments behind the gateway, each as a handle of Serve's or as its like."""

    features: Handle
    safety: Handle
    models: dict[str, Handle]


class Hops:
    """Nothing is connected before `start`; `stop` ends every connection."""

    def __init__(
        self,
        replica: Replica,
        handles: Handles,
        families: Mapping[str, InferenceEndpoint],
        secret: bytes,
    ) -> None:
        self._replica = replica
        self._monotonic = replica.clocks.monotonic
        self._directory = DirectoryWatch(
            ReplicaDirectory(replica.redis, self._monotonic), replica.loops
        )
        by_stage = {"features": handles.features, "safety": handles.safety, **handles.models}
        self.transports = self._plain(by_stage) if self._is_plain else self._fast(by_stage, secret)
        self.features = Hop("features", self.transports["features"], self._monotonic)
        self.safety = Hop("safety", self.transports["safety"], self._monotonic)
        self.models = {name: self._model_hop(family) for name, family in families.items()}
        if "anomaly" in self.transports:
            # No endpoint of its own: the gate asks what the platform itself follows.
            self.models[KIND] = ByKey("anomaly", self.transports["anomaly"], self._monotonic)

    def start(self) -> None:
        if not self._is_plain:
            self._directory.start()
        for transport in self.transports.values():
            transport.start()

    async def stop(self) -> None:
        await self._directory.stop()
        for transport in self.transports.values():
            await transport.stop()

    @property
    def _is_plain(self) -> bool:
        return self._replica.settings.plain

    def _plain(self, by_stage: Mapping[str, Handle]) -> dict[str, Transport]:
        return {stage: HandleTransport(handle) for stage, handle in by_stage.items()}

    def _fast(self, by_stage: Mapping[str, Handle], secret: bytes) -> dict[str, Transport]:
        certificates, loops = Certificates.of(self._replica.settings), self._replica.loops
        tls = certificates.for_gateway() if certificates else None
        return {
            stage: Exchange(
                stage,
                handle,
                stage_secret(secret, stage),
                loops,
                self._directory.listing(stage),
                tls,
            )
            for stage, handle in by_stage.items()
        }

    def _model_hop(self, family: InferenceEndpoint) -> ModelHop:
        stage, transport = family.stage, self.transports[family.stage]
        if family.key is None:
            return AnyReplica(Hop(stage, transport, self._monotonic))
        return ByKey(stage, transport, self._monotonic, falls_back=family.falls_back)
