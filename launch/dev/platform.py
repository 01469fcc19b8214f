"""The process that answers: the gateway and every stage in one event loop, without Ray.

`python -m launch.dev.platform FD BEGUN` serves on the listening socket FD; BEGUN is
when it was started, by the monotonic clock. It waits for a line on its input before it opens
Redis, and ends when its input does: with the process that started it, however that ends.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import uvicorn

from config_store.alias_follower import AliasFollower
from deployments.gateway.app import build_ingress
from deployments.gateway.context import GatewayContext
from deployments.gateway.hops import Handles
from deployments.gateway.ingress import InferenceIngress
from deployments.runtime.transport.handle import Handle
from deployments.stages import MODELS, STAGES, load, open_stage
from launch.dev.replica import OneReplica
from models.pointer import read_pointer
from models.registry import CHAMPION
from models.tail.naming import TAIL_MODEL
from observability.background import Loops
from observability.logs import set_up
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY

LOOK_SECONDS = 0.5
ALWAYS_FIRST = ("features", "safety")
# An open event stream would hold up the end for half a minute.
LAST_ANSWERS_SECONDS = 1

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn would end the process before anything is closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class DevPlatform:
    """Opens what a first answer needs at once, and the rest beside the answers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._replicas = {name: OneReplica() for name in STAGES}
        self._undo = AsyncExitStack()
        self._context: GatewayContext | None = None
        self._loops = Loops()
        # Last the one whose kernels take longest to compile, where no earlier run has done so.
        self._missing = ["tail", "forecasting", "optimization", "anomaly"]
        self.tail_is_trained = self._champion_is_there()

    async def open(self) -> InferenceIngress:
        first = [*ALWAYS_FIRST, *(["tail"] if self.tail_is_trained else [])]
        await asyncio.gather(*map(self._begin, first))
        self._missing = [name for name in self._missing if name not in first]
        models: dict[str, Handle] = {name: self._replicas[name] for name in MODELS}
        handles = Handles(self._replicas["features"], self._replicas["safety"], models)
        self._context = context = await GatewayContext.opened(handles)
        aliases = AliasFollower(
            context.replica.redis, self._settings.paths.models, context.clocks.wall
        )
        # There is no rollout's judge here: what is trained is in force at once.
        self._loops.start(
            "follow model aliases", aliases.step, lambda: LOOK_SECONDS, expected=REDIS_AWAY
        )
        self._loops.start("start missing stages", self._begin_missing, lambda: LOOK_SECONDS)
        self._log_to_the_terminal()
        return build_ingress(context)

    async def close(self) -> None:
        await self._loops.stop()
        if self._context is not None:  # first: it answers what is in the lanes
            await self._context.close()
        await self._undo.aclose()

    async def _begin_missing(self) -> None:
        """Begin what can begin by now: the tail stage, once another process has trained its model.

        One that fails keeps no other from it, and is left out until the next change of a source.
        """
        for name in tuple(self._missing):
            if name == "tail" and not self._champion_is_there():
                continue
            self._missing.remove(name)
            await self._begin_or_say_why(name)
            if name == "tail":
                say("The tail model is trained, and answers")

    async def _begin(self, name: str) -> None:
        opened = await open_stage(name)
        self._undo.push_async_callback(opened.close)
        self._replicas[name].replica = opened

    async def _begin_or_say_why(self, name: str) -> None:
        try:
            await self._begin(name)
        except Exception:
            log.exception("The stage %s could not be started, and its fallback answers", name)
        self._log_to_the_terminal()

    def _log_to_the_terminal(self) -> None:
        """Put the logs back here: each replica that begins sends them to its role's file."""
        set_up(self._settings.log_level, sys.stderr)
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)

    def _champion_is_there(self) -> bool:
        return read_pointer(self._settings.paths.models, TAIL_MODEL, CHAMPION) is not None


async def serve(listening: socket.socket, begun: float) -> None:
    """Answer until a signal or the end of the input says to stop; then close everything."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    loop.add_reader(sys.stdin.fileno(), ending.set)
    platform = DevPlatform(Settings())
    try:
        await _answer(listening, platform, ending, begun)
    finally:
        await platform.close()
    # All is closed. Python would wait for threads that compile kernels, for up to a minute.
    os._exit(0)


async def _answer(
    listening: socket.socket, platform: DevPlatform, ending: asyncio.Event, begun: float
) -> None:
    ingress = await platform.open()
    server = Server(
        uvicorn.Config(
            ingress,
            lifespan="off",
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
        )
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[listening]))
        say(f"Ballast answers, after {time.monotonic() - begun:.1f} s")
        if not platform.tail_is_trained:
            say("A small tail model is being trained; until then its fallback answers")
        await ending.wait()
        server.should_exit = True


def say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201 - to whoever sits at the terminal


def main() -> None:
    for name in ALWAYS_FIRST:  # while Redis starts
        load(name)
    listening, begun = socket.socket(fileno=int(sys.argv[1])), float(sys.argv[2])
    if sys.stdin.readline():  # else whoever started this has ended meanwhile
        asyncio.run(serve(listening, begun))


if __name__ == "__main__":
    main()
