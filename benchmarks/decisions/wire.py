"""One call of one replica with a batch of 64 rows: over our wire, and over gRPC with pickles.

Both ends live in this process, so the processor time is that of caller and callee together. Serve's
handles do what the second way does, and then some: routing, contexts and metrics come on top.
"""

import asyncio
import pickle
import statistics
import time
from collections.abc import Awaitable, Callable

import grpc
from grpc import aio

from benchmarks.decisions.figures import is_quick, quantile_ms, show
from benchmarks.decisions.frame import batch
from deployments.runtime.transport.frame import Frame
from deployments.runtime.transport.tcp.channel import Channel
from deployments.runtime.transport.tcp.server import WireServer

SECRET = b"bench"
SERVICE, METHOD = "bench", "/bench/Echo"
PARTS = 10

Call = Callable[[], Awaitable[object]]


async def echo(frame: Frame) -> Frame:
    return frame


async def over_the_wire(calls: int) -> list[str]:
    server = WireServer(echo, SECRET)
    channel = await Channel.connect(*await server.open("127.0.0.1"), SECRET)
    frame = Frame(batch(), {"family": "tail", "entities": ["default"] * 64})
    try:
        return ["the wire", *await measured(lambda: channel.call(frame), calls)]
    finally:
        channel.close()
        await server.close()


async def over_grpc(calls: int) -> list[str]:
    server = aio.server()
    echoes = grpc.unary_unary_rpc_method_handler(
        _unpickled_and_pickled, request_deserializer=None, response_serializer=None
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {"Echo": echoes}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    frame = Frame(batch(), {"family": "tail", "entities": ["default"] * 64})
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            ask = channel.unary_unary(METHOD)

            async def call() -> object:
                return pickle.loads(await ask(pickle.dumps(frame)))  # noqa: S301 - our own bytes

            return ["gRPC and pickle", *await measured(call, calls)]
    finally:
        await server.stop(None)


async def _unpickled_and_pickled(packed: bytes, _: "aio.ServicerContext[bytes, bytes]") -> bytes:
    return pickle.dumps(pickle.loads(packed))  # noqa: S301 - our own bytes


async def measured(call: Call, calls: int) -> list[str]:
    for _ in range(calls // PARTS):
        await call()  # connections and caches warm up
    took, cpu = [], []
    for _ in range(PARTS):
        used = time.process_time()
        for _ in range(calls // PARTS):
            started = time.perf_counter()
            await call()
            took.append(time.perf_counter() - started)
        cpu.append((time.process_time() - used) / (calls // PARTS))
    return [
        f"{statistics.median(cpu) * 1e6:.0f}",
        f"{quantile_ms(took, 0.5) * 1e3:.0f}",
        f"{quantile_ms(took, 0.99) * 1e3:.0f}",
    ]


async def run(*, quick: bool) -> None:
    calls = 200 if quick else 5_000
    rows = [await over_the_wire(calls), await over_grpc(calls)]
    show("A call with 64 rows, one after the other", ("", "CPU µs", "p50 µs", "p99 µs"), rows)


if __name__ == "__main__":
    asyncio.run(run(quick=is_quick(__doc__)))
