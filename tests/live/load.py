"""A load that keeps its books: every request it sent, and what became of it."""

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Self

import httpx

from tests.live.conftest import PATIENCE_SECONDS
from tests.waiting import until

BODIES = [
    json.dumps({"entity": name, "load": round(load, 3), "slo_ms": 250}).encode()
    for name in ("order-gateway", "pricing", "default")
    for load in (0.2, 0.4, 0.6, 0.8)
]


@dataclass(slots=True)
class Books:
    answered: list[str] = field(default_factory=list)  # decision ids of what came back as 200
    degraded: int = 0
    fallbacks: int = 0
    busy: int = 0  # 503 with Retry-After
    wrong: list[str] = field(default_factory=list)  # anything else at all

    @property
    def whole(self) -> int:
        """Count the answers that were not degraded."""
        return len(self.answered) - self.degraded

    @property
    def sent(self) -> int:
        return len(self.answered) + self.busy + len(self.wrong)


class Load:
    """Clients that ask one request after the other until they are stopped."""

    def __init__(self, url: str, key: str, clients: int = 12) -> None:
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"X-API-Key": key},
            timeout=PATIENCE_SECONDS,
            limits=httpx.Limits(max_connections=clients, max_keepalive_connections=clients),
        )
        self._clients = clients
        self._stop = asyncio.Event()
        self.books = Books()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._ask_on(i)) for i in range(self._clients)]
        return self

    async def answers(self, more: int) -> None:
        """Wait for so many more: what is broken then is broken under load, and load goes on."""
        wanted = len(self.books.answered) + more
        await until(lambda: len(self.books.answered) >= wanted, PATIENCE_SECONDS)

    async def answers_at_full_strength(self, more: int) -> None:
        """Wait for so many more that nothing was missing from."""
        wanted = self.books.whole + more
        await until(lambda: self.books.whole >= wanted, PATIENCE_SECONDS)

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)
        await self._client.aclose()

    async def _ask_on(self, seed: int) -> None:
        choice = random.Random(seed)  # noqa: S311 - which body comes next
        while not self._stop.is_set():
            await self._ask(choice.choice(BODIES))

    async def _ask(self, body: bytes) -> None:
        try:
            answer = await self._client.post("/models/tail-slo", content=body)
        except httpx.HTTPError as error:
            self.books.wrong.append(repr(error))
            return
        if answer.status_code == 200:
            content = answer.json()
            self.books.answered.append(content["meta"]["decision_id"])
            self.books.degraded += content["meta"]["degraded"]
            self.books.fallbacks += content["safety"]["fallback"]
        elif answer.status_code == 503 and "retry-after" in answer.headers:
            self.books.busy += 1
            await asyncio.sleep(0.05)
        else:
            self.books.wrong.append(f"{answer.status_code} {answer.text[:200]}")
