"""Knows the replicas of one deployment: Serve names them, the wire reaches them."""

import asyncio
from typing import Any

from ray.serve.handle import DeploymentHandle

from deployments.wire.channel import Channel
from observability.background import BackgroundLoop, Loops

# Serve picks a replica at random for each question, so that asking now and then finds all.
ASK_EVERY_SECONDS = 1.0
ASK_AGAIN_SECONDS = 0.05
# The question is answered at once by a replica that lives at all.
ASK_WITHIN_SECONDS = 2.0


class Exchange:
    """Keeps a channel to every replica that Serve routes to; Serve decides which those are."""

    def __init__(
        self,
        stage: str,
        handle: DeploymentHandle[Any],
        secret: bytes,
        loops: Loops | None = None,
    ) -> None:
        self._stage = stage
        self._where = handle.where
        self._secret = secret
        self._channels: dict[tuple[str, int], Channel] = {}
        self._found = asyncio.Event()
        self._wanted = asyncio.Event()
        self._loops = loops or Loops()
        self._asking: BackgroundLoop | None = None

    def start(self) -> None:
        self._asking = self._loops.start(
            f"find replicas of {self._stage}",
            self._look,
            self._pause_seconds,
            # However the question fails, there is no such replica yet.
            expected=(Exception,),
            wake=self._wanted,
        )

    async def stop(self) -> None:
        if self._asking is not None:
            await self._loops.stop(self._asking)
        for channel in self._channels.values():
            channel.close()

    def idlest(self) -> Channel | None:
        """Pick the replica with the fewest calls in flight."""
        alive = [channel for channel in self._channels.values() if channel.alive]
        return min(alive, key=lambda channel: channel.in_flight, default=None)

    def alive(self) -> dict[tuple[str, int], Channel]:
        """Give every replica that can be asked now."""
        return {at: channel for at, channel in self._channels.items() if channel.alive}

    async def some(self) -> Channel:
        """Wait for a replica where there is none; the caller's deadline ends the wait."""
        while (channel := self.idlest()) is None:
            self._found.clear()
            self._wanted.set()
            await self._found.wait()
        return channel

    def drop(self, channel: Channel) -> None:
        """Take a replica that does not answer out of the round; Serve will see to it."""
        channel.close()

    async def _look(self) -> None:
        await asyncio.sleep(ASK_AGAIN_SECONDS)
        self._wanted.clear()
        try:
            async with asyncio.timeout(ASK_WITHIN_SECONDS):
                await self._ask()
        finally:
            self._channels = {at: each for at, each in self._channels.items() if each.alive}

    def _pause_seconds(self) -> float:
        """Wait for the next question; not at all while there is nobody to ask."""
        return ASK_EVERY_SECONDS - ASK_AGAIN_SECONDS if self._channels else 0.0

    async def _ask(self) -> None:
        host, port = await self._where.remote()
        known = self._channels.get((host, port))
        if known is None or not known.alive:
            self._channels[host, port] = await Channel.connect(host, port, self._secret)
            self._found.set()
