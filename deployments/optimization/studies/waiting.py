"""Waits, before a batch is answered, for suggestions that its rows would rather have."""

from typing import Any

from deployments.optimization.studies.operations import Operation, Wake
from deployments.optimization.studies.suggestion_queue import SuggestionQueue
from deployments.runtime.batch import Batch
from deployments.runtime.state.service import KeyedService

# Where the client says nothing, and a suggestion for the study is just being made.
USUAL_SECONDS = 0.004


async def wait_for_some(
    batch: Batch, service: KeyedService[Any], suggestions: SuggestionQueue
) -> None:
    """Wait outside the service's turn: the other studies are answered meanwhile."""
    asks: list[Operation] = batch.asks
    waits = {
        key: ask.get("wait", USUAL_SECONDS if suggestions.makes(key) else 0.0)
        for key, ask in zip(batch.keys, asks, strict=True)
        if ask["op"] == "ask"
    }
    waits = {key: seconds for key, seconds in waits.items() if seconds}
    if asleep := [key for key in waits if not suggestions.knows(key)]:
        wake = [Wake(op="wake")] * len(asleep)
        ids = [f"wake {key}" for key in asleep]
        await service.answer(Batch(batch.family, asleep, {}, wake, asleep, ids), "", "")
    await suggestions.some(list(waits.items()))
