"""Somebody else, who asks small questions at a usual pace while the abuse goes on."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.platform import Platform

BODY = {"entity": "order-gateway", "load": 0.5, "slo_ms": 250}
RATE = 40.0
ANSWER_SECONDS = 5.0


@dataclass(slots=True)
class Suffered:
    """What became of the victim's requests; one without an answer took as long as it was waited."""

    seconds: list[float] = field(default_factory=list)
    unanswered: int = 0

    @property
    def answered_percent(self) -> float:
        return 100 * (1 - self.unanswered / max(len(self.seconds), 1))

    def ms(self, share: float) -> float:
        """Give the latency that so large a share stays under."""
        return round(1000 * percentile(self.seconds, share), 2)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


async def asks(platform: Platform, seconds: float) -> Suffered:
    """Ask at a steady rate, one after the other, on one connection."""
    found, until = Suffered(), time.monotonic() + seconds
    headers = {"X-API-Key": platform.key}
    async with httpx.AsyncClient(
        base_url=platform.url, headers=headers, timeout=ANSWER_SECONDS
    ) as client:
        while (begun := time.monotonic()) < until:
            try:
                answer = await client.post("/models/tail-slo", json=BODY)
                found.unanswered += answer.status_code != httpx.codes.OK
            except httpx.HTTPError:
                found.unanswered += 1
            found.seconds.append(time.monotonic() - begun)
            await asyncio.sleep(max(1 / RATE - found.seconds[-1], 0))
    return found


def new_key(platform: Platform, note: str) -> str:
    """Make a key of its own for the abuser: quotas are by key."""
    made = platform.command("key", "create", "--role", "client", "--note", note)
    return made.stdout.strip()


async def post(client: httpx.AsyncClient, path: str, body: Any) -> httpx.Response | None:
    try:
        return await client.post(path, json=body)
    except httpx.HTTPError:
        return None
