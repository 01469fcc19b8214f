"""Sends each row of a batch to the replica that holds its key, and puts the answers together.

Keys are laid on replicas by rendezvous hashing: the replica with the highest hash of (replica, key)
holds the key, so that a replica that comes or goes moves only its own keys. Gateways need not agree
for a moment when replicas change: a key's log takes an entry only from who knows its latest one
(see log.py), so two holders never fork a state. While a replica hangs, others are asked for its
keys.

Each holder's rows have their own outcome. Those of one that gives no answer in time are refused by
themselves, and the rest of the batch goes on. Nobody knows then whether they were written down;
the replica is told that nobody waits, and takes none that it has not begun with.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b

import numpy as np

from deployments.api.errors import StageLostError
from deployments.runtime.batch import Batch, Columns, Detail, Prediction, Refusal
from deployments.runtime.hop import of_same_version
from deployments.runtime.state.tags import tag
from deployments.runtime.transport.base import (
    Address,
    Link,
    RemoteFailureError,
    ReplicaLostError,
    Transport,
    VersionLackedError,
)
from deployments.runtime.transport.frame import Frame

log = logging.getLogger(__name__)


class ByKey:
    """A family's stage whose replicas hold state."""

    def __init__(
        self,
        stage: str,
        transport: Transport,
        clock: Callable[[], float],
        *,
        falls_back: bool = False,
    ) -> None:
        self.stage = stage
        self._transport = transport
        self._clock = clock
        self._falls_back = falls_back

    async def __call__(self, batch: Batch, budget_s: float) -> Prediction:
        """Send every row to its holder; a row sent twice counts once, by its decision's id.

        Rows without an answer are refused in their place, or have no numbers where their family
        falls back; StageLostError when there is no answer at all.
        """
        deadline = self._clock() + budget_s
        parts: list[tuple[list[int], Prediction]] = []
        unanswered: dict[int, StageLostError] = {}
        left, refused = list(range(len(batch))), set[Link]()
        while left:
            try:
                wanted = self._shares(batch, left, await self._links(deadline, batch.config_hash))
            except StageLostError as lost:
                unanswered |= dict.fromkeys(left, lost)
                break
            left = []
            asked = (self._ask(link, batch.take(rows), deadline) for link, rows in wanted)
            answers = await asyncio.gather(*asked, return_exceptions=True)
            for (link, rows), answer in zip(wanted, answers, strict=True):
                if isinstance(answer, Prediction):
                    parts.append((rows, answer))
                elif isinstance(answer, ReplicaLostError):
                    log.warning(
                        "stage %s: %s; its keys are sent to another replica", self.stage, answer
                    )
                    left = sorted([*left, *rows])
                elif isinstance(answer, VersionLackedError) and link not in refused:
                    refused.add(link)
                    log.warning(
                        "stage %s: a replica cannot have version %s; its keys are sent to another",
                        self.stage,
                        batch.version,
                    )
                    left = sorted([*left, *rows])
                elif isinstance(answer, VersionLackedError):
                    lacked = StageLostError(
                        self.stage, f"no replica can have version {batch.version}"
                    )
                    unanswered |= dict.fromkeys(rows, lacked)
                elif isinstance(answer, StageLostError):
                    unanswered |= dict.fromkeys(rows, answer)
                elif isinstance(answer, Exception):
                    log.error("stage %s: part of a batch failed", self.stage, exc_info=answer)
                    failed = StageLostError(
                        self.stage, f"the call failed ({type(answer).__name__})"
                    )
                    unanswered |= dict.fromkeys(rows, failed)
                else:
                    raise answer
        return self._merge(batch, parts, unanswered)

    def _merge(
        self,
        batch: Batch,
        parts: Sequence[tuple[list[int], Prediction]],
        unanswered: dict[int, StageLostError],
    ) -> Prediction:
        if not parts:
            raise next(iter(unanswered.values()))
        if not unanswered and len(parts) == 1:  # left was in order, so its answers are too
            return parts[0][1]
        whole = together(parts, len(batch))
        if unanswered:
            log.warning(
                "stage %s: %d of %d rows were not answered", self.stage, len(unanswered), len(batch)
            )
        if not self._falls_back:
            whole.refusals |= {row: _refusal(lost) for row, lost in unanswered.items()}
        return whole

    async def _links(self, deadline: float, config_hash: str) -> Mapping[Address, Link]:
        while not (alive := self._transport.responsive(config_hash)):
            remaining = deadline - self._clock()
            try:
                async with asyncio.timeout(remaining):
                    await self._transport.pick_link()
            except TimeoutError as late:
                raise StageLostError(self.stage, "no replica could be reached in time") from late
        return alive

    def _shares(
        self, batch: Batch, rows: Sequence[int], links: Mapping[Address, Link]
    ) -> list[tuple[Link, list[int]]]:
        shares: dict[Address, list[int]] = {}
        for row in rows:
            shares.setdefault(holder(batch.keys[row], links), []).append(row)
        return [(links[address], share) for address, share in shares.items()]

    async def _ask(self, link: Link, part: Batch, deadline: float) -> Prediction:
        """Ask one holder; ReplicaLostError or VersionLackedError: the rows must go elsewhere."""
        part.budget_s = deadline - self._clock()
        frame = part.to_frame()
        try:
            async with asyncio.timeout(part.budget_s):
                answer = of_same_version(self.stage, frame, await link.call(frame))
        except VersionLackedError:
            raise
        except RemoteFailureError as failure:
            raise StageLostError(self.stage, f"it failed with {failure}") from failure
        except TimeoutError as late:
            raise StageLostError(self.stage, "no answer came in time") from late
        return self._read(answer, len(part))

    def _read(self, answer: Frame, rows: int) -> Prediction:
        try:
            found = Prediction.from_frame(answer)
            _check_rows(found, rows)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise StageLostError(self.stage, f"its answer cannot be read: {error}") from error
        return found


def _check_rows(found: Prediction, rows: int) -> None:
    """Refuse what belongs to other rows than were asked."""
    columns = {len(column) for column in found.columns.values()}
    if columns - {rows} or len(found.details) not in (0, rows):
        raise ValueError(f"it does not have {rows} rows")
    if any(not 0 <= row < rows for row in found.refusals):
        raise ValueError(f"it refuses a row that is not one of the {rows} rows")


def _refusal(lost: StageLostError) -> Refusal:
    """Refuse a row of which nobody knows whether it was written down."""
    message = (
        f"{lost}. The request may have been accepted: send it again, with the same sequence "
        "if it has one"
    )
    return {"code": "unavailable", "message": message}


def holder(key: str, addresses: Collection[Address]) -> Address:
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
    first = parts[0][1]
    whole = Prediction(columns, first.model, first.model_version, details, version=first.version)
    for places, part in parts:
        for name, column in part.columns.items():
            columns[name][np.asarray(places, dtype=np.intp)] = column
        for at, row in enumerate(places):
            if part.details:
                details[row] = part.details[at]
            if at in part.refusals:
                whole.refusals[row] = part.refusals[at]
    return whole
