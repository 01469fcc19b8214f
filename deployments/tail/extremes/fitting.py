"""Who fits: the replica what is short, a process of low priority what is long.

A replica answers tail-slo too, in well under a millisecond, and whatever it fits meanwhile makes
those wait. So it fits in short slices, between which others are answered; and what would take long
even so goes to the process beside it, which starts with the first such batch.
"""

import asyncio
import base64
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from deployments.runtime.batch import Batch, FloatArray, Prediction
from deployments.runtime.helper.process import HelperLostError, HelperProcess
from deployments.tail.extremes.answering import fit, prediction_of
from deployments.tail.extremes.estimates import Fitted
from deployments.tail.extremes.metrics import Wanted, asks_of, wanted_of
from deployments.tail.extremes.operations import Fit, FitBlocks, FitPeaks

MOST_FITS = 2048
# About what a fit costs, measured on rows of 120 to 2,000 values.
ROW_MS, VALUE_MS = 0.05, 0.001
# Block maxima take some 40 ms a row, however long: so many rows of a batch, and no more.
MOST_BLOCK_ROWS = 16
# What the replica does at once, and in slices.
SHORT_MS, LONG_MS = 3.0, 25.0

log = logging.getLogger(__name__)

Kept = tuple[FloatArray, Fitted]
_TOO_MANY: Fitted = {
    "refusal": {
        "code": "unavailable",
        "message": (
            f"At most {MOST_BLOCK_ROWS} fits of block maxima are made at the same time: try again"
        ),
    }
}
_UNREAD: Fitted = {
    "refusal": {
        "code": "unavailable",
        "message": "The telemetry of this metric cannot be read at the moment: try again",
    }
}
_NOTHING = np.zeros(0)
# What the process beside the replica is started with.
_USUAL: FitPeaks = {
    "method": "peaks_over_threshold",
    "metric": None,
    "threshold_quantile": 0.95,
    "return_periods": [],
    "confidence": 0.95,
    "judged": None,
    "dependent": False,
}


class Fitting:
    """Answers batches; of telemetry, which changes by the minute, a fit is asked for once."""

    def __init__(self, helper: HelperProcess) -> None:
        self._helper = helper
        self._fits: OrderedDict[tuple[Any, ...], Kept] = OrderedDict()
        self._starting: asyncio.Task[None] | None = None
        self._aside_is_warm = False

    async def answer(
        self, batch: Batch, series: Mapping[Wanted, FloatArray], version: str
    ) -> Prediction:
        asks, wanted = asks_of(batch), wanted_of(batch)
        values = [
            np.asarray(ask["values"], dtype=np.float64)
            if name is None
            else series.get(name, _NOTHING)
            for ask, name in zip(asks, wanted, strict=True)
        ]
        found: dict[int, Fitted] = {}
        by_question: dict[tuple[Any, ...], list[int]] = {}
        for row, (name, ask) in enumerate(zip(wanted, asks, strict=True)):
            if name is not None and name not in series:
                found[row] = _UNREAD
                continue
            key = (row,) if name is None else (*name, orjson.dumps(ask["fit"]))
            kept = self._fits.get(key)
            if kept is not None and kept[0] is values[row]:
                found[row] = kept[1]
            else:
                by_question.setdefault(key, []).append(row)
        firsts = [rows[0] for rows in by_question.values()]
        fitted = await self._fit([asks[r]["fit"] for r in firsts], [values[r] for r in firsts])
        for (key, rows), each in zip(by_question.items(), fitted, strict=True):
            found |= dict.fromkeys(rows, each)
            if each is not _TOO_MANY and wanted[rows[0]] is not None:
                self._keep(key, (values[rows[0]], each))
        return prediction_of([found[row] for row in range(len(batch))], version)

    async def close(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        await self._helper.close()

    def _keep(self, key: tuple[Any, ...], kept: Kept) -> None:
        self._fits[key] = kept
        while len(self._fits) > MOST_FITS:
            self._fits.popitem(last=False)

    async def _fit(self, asks: Sequence[Fit], values: Sequence[FloatArray]) -> list[Fitted]:
        blocks = {at: ask for at, ask in enumerate(asks) if ask["method"] == "block_maxima"}
        if not blocks:
            return await self._fit_tails(asks, values)
        tails = [at for at in range(len(asks)) if at not in blocks]
        fitted = await self._fit_tails([asks[at] for at in tails], [values[at] for at in tails])
        found = dict(zip(tails, fitted, strict=True))
        for number, (at, ask) in enumerate(blocks.items()):
            if number >= MOST_BLOCK_ROWS:
                found[at] = _TOO_MANY
            else:  # each by itself: fits of other batches come between
                found[at] = await self._fit_blocks(ask, values[at])
        return [found[at] for at in range(len(asks))]

    async def _fit_blocks(self, ask: FitBlocks, values: FloatArray) -> Fitted:
        """Fit in the process beside, and wait while it starts: a row is too long for a slice."""
        try:
            return (await self._fit_aside([ask], [values]))[0]
        except HelperLostError as lost:
            log.warning(
                "Block maxima are fitted in the replica, not in the helper process: %s", lost
            )
            return fit([ask], [values])[0]

    async def _fit_tails(self, asks: Sequence[Fit], values: Sequence[FloatArray]) -> list[Fitted]:
        if sum(map(cost_ms, values)) <= LONG_MS:
            return await _fit_in_slices(asks, values)
        if self._aside_is_warm:
            try:
                return await self._fit_aside(asks, values)
            except HelperLostError as lost:
                log.warning("Tails are fitted in the replica, not in the helper process: %s", lost)
                self._aside_is_warm = False
        elif self._starting is None:
            self._starting = asyncio.create_task(self._start_aside())
        return await _fit_in_slices(asks, values)

    async def _start_aside(self) -> None:
        """Have the process beside import what it needs: that takes seconds."""
        try:
            await self._fit_aside([_USUAL], [np.arange(400.0)])
            self._aside_is_warm = True
        except HelperLostError as lost:
            log.warning("The helper process for long fits could not be started: %s", lost)
        finally:
            self._starting = None

    async def _fit_aside(self, asks: Sequence[Fit], values: Sequence[FloatArray]) -> list[Fitted]:
        sent = [base64.b64encode(each.tobytes()).decode() for each in values]
        found: list[Fitted] = await self._helper.do("fit", asks=list(asks), values=sent)
        return found


def fit_sent(asks: Sequence[Fit], values: Sequence[str]) -> list[Fitted]:
    """Fit what a replica sent; in the process beside it."""
    return fit(asks, [np.frombuffer(base64.b64decode(each)) for each in values])


def cost_ms(values: FloatArray) -> float:
    return ROW_MS + VALUE_MS * values.size


async def _fit_in_slices(asks: Sequence[Fit], values: Sequence[FloatArray]) -> list[Fitted]:
    found: list[Fitted] = []
    for start, stop in _slices([cost_ms(each) for each in values]):
        if found:
            await asyncio.sleep(0)
        found += fit(asks[start:stop], values[start:stop])
    return found


def _slices(costs_ms: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Cut rows into runs that are short, or a single row."""
    start, spent = 0, 0.0
    for at, each in enumerate(costs_ms):
        if at > start and spent + each > SHORT_MS:
            yield start, at
            start, spent = at, 0.0
        spent += each
    if costs_ms:
        yield start, len(costs_ms)
