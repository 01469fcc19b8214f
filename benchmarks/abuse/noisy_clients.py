"""Clients that send body after body, in a process of their own.

So they take no time of whoever measures what others suffer from them; and they run at the lowest
priority, since in earnest they run on machines of their own.

    BALLAST_NOISY_KEY=... python -m benchmarks.abuse.noisy_clients --url URL --path PATH --clients 2
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

import httpx
import orjson

from benchmarks.platform import Platform

KEY_VARIABLE = "BALLAST_NOISY_KEY"
REFUSED_SECONDS = 0.2
ENDS_WITHIN_SECONDS = 60.0
LOWEST_PRIORITY = 19


@dataclass(slots=True)
class Noise:
    """What came of it: bodies that were answered, and for how long they were sent."""

    answered: int = 0
    seconds: float = 0.0


@contextmanager
def noise(platform: Platform, key: str, path: str, body: Any, clients: int) -> Iterator[Noise]:
    """Have the clients send, from the moment in which they are ready, while the block runs."""
    came = Noise()
    plan = ["--url", platform.url, "--path", path, "--clients", str(clients)]
    with subprocess.Popen(
        [sys.executable, "-m", __name__, *plan],
        env=os.environ | {KEY_VARIABLE: key},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            # Both are pipes, which the types of subprocess cannot know.
            stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
            stdin.write(orjson.dumps(body) + b"\n")
            stdin.flush()
            stdout.readline()
            began = time.monotonic()
            yield came
            came.seconds = time.monotonic() - began
            said, _ = process.communicate(b"\n", ENDS_WITHIN_SECONDS)
            came.answered = int(said)
        finally:
            process.kill()


async def _send(client: httpx.AsyncClient, path: str, body: bytes, stop: asyncio.Event) -> int:
    """Send one body after the other; count those that were answered."""
    answered = 0
    while not stop.is_set():
        try:
            ok = (await client.post(path, content=body)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            ok = False
        answered += ok
        if not ok:
            await asyncio.sleep(REFUSED_SECONDS)
    return answered


async def _run(plan: argparse.Namespace) -> int:
    os.nice(LOWEST_PRIORITY)
    body = sys.stdin.buffer.readline().rstrip()
    stop = asyncio.Event()
    headers = {"X-API-Key": os.environ[KEY_VARIABLE], "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=plan.url, headers=headers, timeout=30) as client:
        sending = [_send(client, plan.path, body, stop) for _ in range(plan.clients)]
        at_work = asyncio.gather(*sending)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.buffer.readline)  # whoever started this says when to end
        stop.set()
        return sum(await at_work)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Send body after body, until a line is read.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--clients", type=int, required=True)
    sys.stdout.write(f"{asyncio.run(_run(parser.parse_args()))}\n")
