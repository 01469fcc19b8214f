"""Sends each row of a batch to the replica that holds its key, and puts the answers together.

Keys are laid on replicas by rendezvous hashing: the replica with the highest hash of (replica, key)
holds the key, so that a replica that comes or goes moves only its own keys. Gateways need not agree
for a moment when replicas change: a key's log takes an entry only from who knows its latest one
(see log.py), so two holders never fork a state.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np

from deployments.batch import Batch, Columns, Detail, Prediction
from deployments.errors import StageLostError
from deployments.keyed.tags import tag
from deployments.wire.channel import Channel, ChannelLostError, RemoteFailureError
from deployments.wire.exchange import Exchange

log = logging.getLogger(__name__)

Address = tuple[str, int]


class ByKey:
    """A family's stage whose replicas hold state."""

    def __init__(self, stage: str, exchange: Exchange, clock: Callable[[], float]) -> None:
        self.stage = stage
        self._exchange = exchange
        self._clock = clock

    async def __call__(self, batch: Batch, budget_s: float) -> Prediction:
        """Send every row to its holder; a row sent twice counts once, by its decision's id."""
        deadline = self._clock() + budget_s
        parts: list[tuple[list[int], Prediction]] = []
        left = list(range(len(batch)))
        while left:
            wanted = self._shares(batch, left, await self._channels(deadline))
            answers = await asyncio.gather(
                *(self._ask(channel, batch.take(rows), deadline) for channel, rows in wanted)
            )
            left = []
            for (_, rows), answer in zip(wanted, answers, strict=True):
                if answer is None:
                    left += rows
                else:
                    parts.append((rows, answer))
        return parts[0][1] if len(parts) == 1 else together(parts, len(batch))

    async def _channels(self, deadline: float) -> dict[Address, Channel]:
        while not (alive := self._exchange.alive()):
            remaining = deadline - self._clock()
            try:
                async with asyncio.timeout(remaining):
                    await self._exchange.some()
            except TimeoutError as late:
                raise StageLostError(self.stage, "no replica in time") from late
        return alive

    def _shares(
        self, batch: Batch, rows: Sequence[int], channels: dict[Address, Channel]
    ) -> list[tuple[Channel, list[int]]]:
        shares: dict[Address, list[int]] = {}
        for row in rows:
            shares.setdefault(holder(batch.keys[row], channels), []).append(row)
        return [(channels[address], share) for address, share in shares.items()]

    async def _ask(self, channel: Channel, part: Batch, deadline: float) -> Prediction | None:
        """Ask one holder; nothing when it is lost and the rows must go elsewhere."""
        try:
            async with asyncio.timeout(deadline - self._clock()):
                return Prediction.from_frame(await channel.call(part.to_frame()))
        except ChannelLostError as lost:
            log.warning("stage %s: %s; its keys go to another", self.stage, lost)
            return None
        except RemoteFailureError as failure:
            raise StageLostError(self.stage, f"it failed with {failure}") from failure
        except TimeoutError as late:
            self._exchange.drop(channel)
            raise StageLostError(self.stage, "nothing came back in time") from late


def holder(key: str, addresses: "dict[Address, Channel] | Sequence[Address]") -> Address:
    """Name the replica that a key lives on while these are the ones there are."""
    if len(addresses) == 1:
        return next(iter(addresses))
    mark = tag(key)
    return max(addresses, key=lambda at: (_weight(mark, at), at))


def _weight(mark: str, at: Address) -> bytes:
    return blake2b(f"{mark} {at[0]}:{at[1]}".encode(), digest_size=8).digest()


def together(parts: Sequence[tuple[Sequence[int], Prediction]], rows: int) -> Prediction:
    """Make one prediction of those of several holders."""
    names = {name for _, part in parts for name in part.columns}
    columns: Columns = {name: np.full(rows, np.nan) for name in sorted(names)}
    details: list[Detail | None] = [None] * rows
    whole = Prediction(columns, parts[0][1].model, parts[0][1].model_version, details)
    for places, part in parts:
        for name, column in part.columns.items():
            columns[name][np.asarray(places, dtype=np.intp)] = column
        for at, row in enumerate(places):
            if part.details:
                details[row] = part.details[at]
            if at in part.refusals:
                whole.refusals[row] = part.refusals[at]
    return whole
