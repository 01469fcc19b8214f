"""The stages around the gateway, by the names that serve_config.yaml gives them.

A stage's module brings its models with it, which takes seconds to import. Whoever only names the
stages, as the build of the application does, need not pay for it: `load` is for who opens one.
"""

import asyncio
from importlib import import_module
from threading import Lock
from typing import Any

from deployments.runtime.open_stage import OpenStage
from deployments.runtime.stage import Stage
from deployments.runtime.transport.base import Address

# What each holds of models and states its own families know.
MODELS = {
    "tail": "deployments.tail.deployment.Tail",
    "forecasting": "deployments.forecasting.deployment.Forecasting",
    "anomaly": "deployments.anomaly.deployment.Anomaly",
    "optimization": "deployments.optimization.deployment.Optimization",
}
STAGES = {
    "features": "deployments.features.deployment.Features",
    "safety": "deployments.safety.deployment.Safety",
    **MODELS,
}
# Those whose replicas hold state by key.
KEYED = frozenset({"anomaly", "optimization"})

# `make dev` opens several stages at once, and two threads must not import one module half each.
_importing = Lock()


def load(name: str) -> type[Stage[Any]]:
    """Import a stage."""
    module, _, stage = STAGES[name].rpartition(".")
    with _importing:
        found: type[Stage[Any]] = getattr(import_module(module), stage)
    return found


async def open_stage(name: str, *, warmed: bool = True) -> OpenStage:
    """Import a stage in a thread, so that answers go on meanwhile, and open a replica of it."""
    return await OpenStage.opened(name, await asyncio.to_thread(load, name), warmed=warmed)


class StageReplica:
    """What Serve makes, calls and ends of every stage: a shell around one that is open."""

    async def __init__(self, name: str) -> None:  # type: ignore[misc] # Serve awaits it
        self._opened = await open_stage(name)

    async def answer_bytes(self, asked: bytes) -> bytes:
        return await self._opened.answer_bytes(asked)

    async def where(self) -> Address:
        return await self._opened.where()

    def record_autoscaling_stats(self) -> dict[str, float]:
        return self._opened.record_autoscaling_stats()

    async def __del__(self) -> None:
        await self._opened.close()
