"""Two clients send bodies of 1,000 extreme-events rows: see what tail-slo takes for another."""

import asyncio
from collections.abc import Sequence

import httpx

from benchmarks.abuse.scenario import Figures
from benchmarks.abuse.victim import Suffered, asks, new_key, post
from benchmarks.platform import Platform

ROWS, CLIENTS = 1_000, 2
TURNS, TURN_SECONDS = 3, 6.0
REFUSED_SECONDS = 0.2
PATH = "/models/extreme-events"
ROW = {"entity": "order-gateway", "metric": "p99_ms"}


def measure(platform: Platform) -> Figures:
    return asyncio.run(_measure(platform, new_key(platform, "the noisy neighbour")))


async def _measure(platform: Platform, key: str) -> Figures:
    """Take turns, so that whatever else the machine does falls on both alike."""
    alone, beside, taken = list[Suffered](), list[Suffered](), 0
    for _ in range(TURNS):
        alone.append(await asks(platform, TURN_SECONDS))
        stop = asyncio.Event()
        noise = [asyncio.create_task(_send(platform, key, stop)) for _ in range(CLIENTS)]
        beside.append(await asks(platform, TURN_SECONDS))
        stop.set()
        taken += sum(await asyncio.gather(*noise))
    quiet, noisy = _together(alone), _together(beside)
    return {
        "tail-slo p50 alone, ms": quiet.ms(0.5),
        "tail-slo p50 beside them, ms": noisy.ms(0.5),
        "tail-slo p99 alone, ms": quiet.ms(0.99),
        "tail-slo p99 beside them, ms": noisy.ms(0.99),
        "p99 beside over alone": round(noisy.ms(0.99) / quiet.ms(0.99), 3),
        "tail-slo answered beside them, %": round(noisy.answered_percent, 2),
        "their rows answered, a second": round(taken * ROWS / (TURNS * TURN_SECONDS), 1),
    }


async def _send(platform: Platform, key: str, stop: asyncio.Event) -> int:
    """Send one body after the other; count those that were answered."""
    taken = 0
    async with httpx.AsyncClient(
        base_url=platform.url, headers={"X-API-Key": key}, timeout=30
    ) as client:
        while not stop.is_set():
            answer = await post(client, PATH, {"rows": [ROW] * ROWS})
            if answer is not None and answer.status_code == httpx.codes.OK:
                taken += 1
            else:
                await asyncio.sleep(REFUSED_SECONDS)
    return taken


def _together(turns: Sequence[Suffered]) -> Suffered:
    return Suffered(
        [each for turn in turns for each in turn.seconds], sum(turn.unanswered for turn in turns)
    )
