"""Load of several families, each client one request after the other; every answer is kept."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from typing import Any

import httpx
import orjson

from benchmarks.switches.versions import of_others

PACE_SECONDS = 0.1
ROWS = 7
CLIENTS = ("tail", "tail", "tail", "tail of many rows", "capacity", "bandit", "regime")
PATHS = {
    "tail": "/models/tail-slo",
    "tail of many rows": "/models/tail-slo",
    "capacity": "/models/capacity-planning",
    "bandit": "/models/bandit",
    "regime": "/models/regime-detection",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's: all its rows were answered by this version."""

    client: int
    sent: float
    came: float
    version: int


@dataclass(slots=True)
class Books:
    answers: list[Answer] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # no 200, or no answer at all
    split: list[str] = field(default_factory=list)  # one request, several versions
    of_others: list[str] = field(default_factory=list)  # an answer with another version's parts
    fallbacks: int = 0

    @property
    def sent(self) -> int:
        return len(self.answers) + len(self.failed) + len(self.split)


class Load:
    def __init__(self, http: httpx.AsyncClient, marks: dict[int, int], prefix: str) -> None:
        """Take the versions' marks, and what names of streams and experiments begin with."""
        self._http = http
        self._marks = marks
        self._prefix = prefix
        self._over = asyncio.Event()
        # The latest request of each client: when it was sent, and who answered it.
        self._latest: dict[int, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
        self.books = Books()

    def start(self) -> list[asyncio.Task[None]]:
        return [
            asyncio.create_task(self._ask_on(client, kind)) for client, kind in enumerate(CLIENTS)
        ]

    def stop(self) -> None:
        """Let every client finish what it has begun."""
        self._over.set()

    def all_saw(self, version: int, since: float) -> bool:
        """Tell whether every client's last request was sent since then, and answered by this."""
        latest = [self._latest[client] for client in range(len(CLIENTS))]
        return all(sent >= since and found == version for sent, found in latest)

    async def _ask_on(self, client: int, kind: str) -> None:
        bodies = self._bodies(client, kind)
        while not self._over.is_set():
            begun = time.monotonic()
            await self._ask(client, kind, next(bodies))
            await asyncio.sleep(max(begun + PACE_SECONDS - time.monotonic(), 0.0))

    async def _ask(self, client: int, kind: str, body: dict[str, Any]) -> None:
        sent = time.monotonic()
        try:
            found = await self._http.post(PATHS[kind], content=orjson.dumps(body))
        except httpx.HTTPError as error:
            self.books.failed.append(f"{kind}: {error!r}")
            return
        came = time.monotonic()
        if found.status_code != HTTPStatus.OK:
            self.books.failed.append(f"{kind}: {found.status_code} {found.text[:200]}")
            return
        content = orjson.loads(found.content)
        self._note(client, kind, sent, came, content if isinstance(content, list) else [content])

    def _note(
        self, client: int, kind: str, sent: float, came: float, rows: list[dict[str, Any]]
    ) -> None:
        books, family = self.books, kind.split(maxsplit=1)[0]
        versions = {row["meta"]["config_version"] for row in rows}
        if len(versions) > 1:
            books.split.append(f"{kind}: {sorted(versions)}")
            return
        (version,) = versions
        books.answers.append(Answer(client, sent, came, version))
        books.decisions += [row["meta"]["decision_id"] for row in rows]
        self._latest[client] = sent, version
        for row in rows:
            books.fallbacks += row["safety"]["fallback"]
            mark = self._marks.get(version)
            if mark is None or row["safety"]["fallback"]:
                continue
            if wrong := of_others(family, row, mark):
                books.of_others.append(f"{kind} by {version}: {', '.join(wrong)}")

    def _bodies(self, client: int, kind: str) -> Iterator[dict[str, Any]]:
        name = f"{self._prefix}-{client}"
        make: dict[str, Callable[[int], dict[str, Any]]] = {
            "tail": lambda at: _tail(f"nobody-{at % 5}"),
            "tail of many rows": lambda _: {
                "rows": [_tail(f"nobody-{row}") for row in range(ROWS)]
            },
            "capacity": lambda at: {"ingest_rate": 900 + at % 7, "cpu": 0.4, "p99": 9},
            "bandit": lambda _: {"experiment": name, "arms": ["a", "b"], "context": {}},
            "regime": lambda at: {"stream": name, "sequence": at, "values": [20.0 + at % 3]},
        }
        return (make[kind](at) for at in count())


def _tail(entity: str) -> dict[str, Any]:
    return {"entity": entity, "load": 0.5, "slo_ms": 250}
