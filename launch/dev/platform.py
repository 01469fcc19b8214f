"""The process that answers: the gateway and every stage in one event loop, without Ray."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress

import uvicorn
from pydantic import ValidationError

from config_store.alias_follower import AliasFollower
from deployments.gateway.app import build_ingress
from deployments.gateway.context import GatewayContext
from deployments.gateway.ingress.ingress import InferenceIngress
from deployments.gateway.stages.hops import Handles
from deployments.runtime.open_stage import OpenStage
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
        # Began without what a replica waits for before it opens.
        self._unwarmed: list[OpenStage] = []
        self.tail_is_trained = tail_is_trained(settings)

    async def open(self) -> InferenceIngress:
        first = [*ALWAYS_FIRST, *(["tail"] if self.tail_is_trained else [])]
        # All come to an end, well or not: what began beside one that failed is closed with it.
        begun = await asyncio.gather(*map(self._begin, first), return_exceptions=True)
        for failure in filter(None, begun):
            raise failure
        self._missing = [name for name in self._missing if name not in first]
        models: dict[str, Handle] = {name: self._replicas[name] for name in MODELS}
        handles = Handles(self._replicas["features"], self._replicas["safety"], models)
        self._context = await GatewayContext.opened(handles)
        self._log_to_the_terminal()
        return build_ingress(self._context)

    def open_the_rest(self) -> None:
        """Begin what a first answer does not need, and would share the processor with."""
        if (context := self._context) is None:
            raise RuntimeError("the platform has not been opened")
        aliases = AliasFollower(
            context.replica.redis, self._settings.paths.models, context.clocks.wall
        )
        # There is no rollout's judge here: what is trained is in force at once.
        self._loops.start(
            "follow model aliases", aliases.step, lambda: LOOK_SECONDS, expected=REDIS_AWAY
        )
        self._loops.start("start missing stages", self._begin_missing, lambda: LOOK_SECONDS)

    async def close(self) -> None:
        await self._loops.stop()
        if self._context is not None:  # first: it answers what is in the lanes
            await self._context.close()
        await self._undo.aclose()

    async def _begin_missing(self) -> None:
        """Begin what can begin by now: the tail stage, once another process has trained its model.

        One that fails keeps no other from it, and is left out until the next change of a source.
        """
        while self._unwarmed:
            await self._unwarmed.pop().stage.warm()
        for name in tuple(self._missing):
            if name == "tail" and not tail_is_trained(self._settings):
                continue
            self._missing.remove(name)
            await self._begin_or_say_why(name)
            if name == "tail":
                say("The tail model is trained, and answers")

    async def _begin(self, name: str) -> None:
        opened = await open_stage(name, warmed=False)
        self._undo.push_async_callback(opened.close)
        self._replicas[name].replica = opened
        self._unwarmed.append(opened)

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


async def serve(listening: socket.socket, line: socket.socket, begun: float) -> None:
    """Answer until a signal or the end of the line says to stop; then close everything."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    loop.add_reader(line.fileno(), ending.set)
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
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.005)
        say(f"Ballast answers, after {time.monotonic() - begun:.1f} s")
        if not platform.tail_is_trained:
            say("A small tail model is being trained; until then its fallback answers")
        platform.open_the_rest()
        await ending.wait()
        server.should_exit = True


def say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201 - to whoever sits at the terminal


def load_first() -> None:
    """Import what a first answer needs, while Redis starts."""
    for name in ALWAYS_FIRST:
        load(name)
    with suppress(ValidationError):  # the process that stays says which setting is wrong
        if tail_is_trained(Settings()):
            load("tail")


def tail_is_trained(settings: Settings) -> bool:
    return read_pointer(settings.paths.models, TAIL_MODEL, CHAMPION) is not None


def answer(listening: socket.socket, line: socket.socket, begun: float) -> None:
    """Answer who connects to the first, until whoever holds the other end of the second ends."""
    asyncio.run(serve(listening, line, begun))
