"""Knows the replicas of one deployment: the directory names them, the wire reaches them.

Where the directory names none that can be reached, as while Redis is away, Serve is asked.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Collection

from deployments.runtime.transport.base import Address
from deployments.runtime.transport.handle import Directory
from deployments.runtime.transport.replica_directory import Listing
from deployments.runtime.transport.tcp.channel import Channel
from observability.background import BackgroundLoop, Loops

# Serve picks a replica at random for each question, so that asking now and then finds all.
ASK_EVERY_SECONDS = 1.0
ASK_AGAIN_SECONDS = 0.05
# Where every listed replica is connected: what changes is heard of, from the listing or by a ping.
LOOK_AGAIN_SECONDS = 10.0
# The question is answered at once by a replica that lives at all.
ASK_WITHIN_SECONDS = 2.0
# So long after a gateway's own start there may be no replica yet: all stages start side by side.
STARTS_WITHIN_SECONDS = 60.0
# A machine that is gone without a word takes no connection and refuses none.
CONNECT_WITHIN_SECONDS = 1.0
# Every replica is to send something as often as this; one that owes an answer, be it to a ping, and
# has been silent for longer hangs, and others are asked first.
PING_EVERY_SECONDS = 0.5
SILENT_SECONDS = 1.0
# Its machine is gone without a word: the connection would never end.
LOST_SECONDS = 30.0
# From when one replica was heard to hold a document until who lacks it is a straggler: notices
# reach all of them within a second, and keys should not move for that.
STRAGGLES_SECONDS = 2.0

log = logging.getLogger(__name__)


class Exchange:
    """Keeps a channel to every replica there is."""

    def __init__(
        self,
        stage: str,
        handle: Directory,
        secret: bytes,
        loops: Loops | None = None,
        listing: Listing | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Without a listing Serve alone is asked."""
        self._tls = tls
        self._stage = stage
        self._where = handle.where
        self._secret = secret
        self._channels: dict[Address, Channel] = {}
        self._found = asyncio.Event()
        self._began_at = time.monotonic()
        self._had_some = False
        self._listing = listing or Listing()
        self._wanted = self._listing.changed
        self._loops = loops or Loops()
        self._running: list[BackgroundLoop] = []
        # Since when some replica was heard to hold a document, by its hash.
        self._held_since: dict[str, float] = {}

    def start(self) -> None:
        finding = self._loops.start(
            f"find replicas of {self._stage}",
            self._look,
            self._pause_seconds,
            # However the question fails, there is no such replica yet.
            expected=(Exception,),
            wake=self._wanted,
        )
        pinging = self._loops.start(
            f"ping replicas of {self._stage}", self._ping, lambda: PING_EVERY_SECONDS
        )
        self._running = [finding, pinging]

    async def stop(self) -> None:
        for each in self._running:
            await self._loops.stop(each)
        for channel in self._channels.values():
            channel.close()

    def idlest(self, config_hash: str = "") -> Channel | None:
        """Pick the replica with the fewest calls in flight, of those that may be asked."""
        return min(
            self.responsive(config_hash).values(),
            key=lambda channel: channel.in_flight,
            default=None,
        )

    def alive(self) -> dict[Address, Channel]:
        """Give every replica that can be asked now."""
        return {at: channel for at, channel in self._channels.items() if channel.alive}

    def responsive(self, config_hash: str = "") -> dict[Address, Channel]:
        """Give every replica that does not hang, nor straggles; all of them where all do."""
        alive = self.alive()
        heard = {at: each for at, each in alive.items() if each.silent_seconds <= SILENT_SECONDS}
        asked = heard or alive
        if not config_hash or len(asked) == 1:
            return asked
        return {
            at: each for at, each in asked.items() if not self._avoids(each, config_hash)
        } or asked

    def avoided(self, config_hash: str) -> int:
        alive = self.alive()
        avoided = sum(self._avoids(each, config_hash) for each in alive.values())
        return avoided if avoided < len(alive) else 0

    async def pick_link(self, config_hash: str = "") -> Channel:
        """Wait for a replica where there is none; the caller's deadline ends the wait."""
        while (channel := self.idlest(config_hash)) is None:
            self._found.clear()
            self._wanted.set()
            await self._found.wait()
        return channel

    def _avoids(self, channel: Channel, config_hash: str) -> bool:
        """Tell whether this replica lacks a document that another has had for long."""
        if channel.refused(config_hash):
            return True
        since = self._held_since.get(config_hash)
        held_long = since is not None and time.monotonic() - since > STRAGGLES_SECONDS
        return held_long and channel.lacks(config_hash)

    def _note_held(self) -> None:
        held = {each for channel in self.alive().values() for each in channel.holds or ()}
        now = time.monotonic()
        self._held_since = {each: self._held_since.get(each, now) for each in held}

    async def _ping(self) -> None:
        self._note_held()
        if not all(channel.alive for channel in self._channels.values()):
            self._wanted.set()  # it is dropped, or connected again
        for channel in self.alive().values():
            if channel.silent_seconds > LOST_SECONDS:
                log.warning(
                    "A replica of %s did not answer pings in time, and its connection is closed",
                    self._stage,
                )
                channel.close()
            channel.ping()

    async def _look(self) -> None:
        await asyncio.sleep(ASK_AGAIN_SECONDS)
        self._wanted.clear()
        try:
            await self._reach(self._listing.addresses)
            if not self._listing.addresses or not self.alive():
                await self._ask_serve()
        finally:
            self._channels = {at: each for at, each in self._channels.items() if each.alive}

    async def _ask_serve(self) -> None:
        try:
            async with asyncio.timeout(ASK_WITHIN_SECONDS):
                await self._connect(await self._where.remote())
        except Exception as error:
            if self._had_some or time.monotonic() - self._began_at > STARTS_WITHIN_SECONDS:
                raise
            log.info("There is no replica of %s yet: %r", self._stage, error)

    def _pause_seconds(self) -> float:
        """Wait for the next question; not at all while there is nobody to ask."""
        if not self._channels:
            return 0.0
        alive, listed = self.alive(), self._listing.addresses
        everyone = bool(listed) and all(address in alive for address in listed)
        return (LOOK_AGAIN_SECONDS if everyone else ASK_EVERY_SECONDS) - ASK_AGAIN_SECONDS

    async def _reach(self, addresses: Collection[Address]) -> None:
        """Connect to all of them; who cannot be reached is tried again while it is listed."""
        outcomes = await asyncio.gather(*map(self._connect, addresses), return_exceptions=True)
        for address, outcome in zip(addresses, outcomes, strict=True):
            if isinstance(outcome, Exception):
                log.info(
                    "A replica of %s at %s cannot be reached: %r", self._stage, address, outcome
                )
            elif outcome is not None:
                raise outcome

    async def _connect(self, address: Address) -> None:
        host, port = address
        known = self._channels.get((host, port))
        if known is None or not known.alive:
            async with asyncio.timeout(CONNECT_WITHIN_SECONDS):
                self._channels[host, port] = await Channel.connect(
                    host, port, self._secret, self._tls
                )
            self._had_some = True
            self._found.set()
