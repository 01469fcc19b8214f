"""A family with state that notes every row that was taken, in the format of two releases."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deployments.runtime.batch import Refusal
from deployments.runtime.state.handler import Reply, StateRequest

REMOVED = "removed"


@dataclass
class Journal:
    key: str
    rows: list[str] = field(default_factory=list)
    # The latest number of each client.
    latest: dict[str, int] = field(default_factory=dict)

    def add(self, row: str) -> None:
        client, number = row.split(":")
        self.rows.append(row)
        self.latest[client] = int(number)

    def has(self, row: str) -> bool:
        client, number = row.split(":")
        return int(number) <= self.latest.get(client, -1)


class JournalHandler:
    """Of the release at hand: what is not above a client's latest number was taken."""

    kind = "journal"
    columns = ()

    def fresh(self, key: str) -> Journal:
        return Journal(key)

    def encode(self, state: Journal) -> bytes:
        return json.dumps([state.rows, state.latest]).encode()

    def decode(self, key: str, saved: bytes) -> Journal:
        return Journal(key, *json.loads(saved))

    def release(self, state: Journal) -> None:
        state.rows = []

    def size(self, state: Journal) -> int:
        return 100 * len(state.rows)

    def give_back(self) -> None:
        pass

    def replay(self, tails: Sequence[tuple[Journal, list[Any]]]) -> None:
        for journal, events in tails:
            for event in events:
                self.apply(journal, event)

    def event(self, row: str) -> Any:
        return row

    def apply(self, journal: Journal, event: Any) -> None:
        if event == REMOVED:  # an earlier release left it in the log for a moment
            journal.rows, journal.latest = [], {}
        else:
            journal.add(event)

    def answer(self, rows: Sequence[tuple[Journal, StateRequest]]) -> list[Reply]:
        return [self._answer(journal, request) for journal, request in rows]

    def _answer(self, journal: Journal, request: StateRequest) -> Reply:
        if request.ask == "show":
            return Reply(detail={"data": {"rows": list(journal.rows)}})
        if request.ask == "remove":
            return self.removal(request) if journal.rows else Reply(refusal=_missing)  # type: ignore[return-value] # it is one
        if request.ask.startswith("poison"):
            raise ZeroDivisionError(request.ask)
        if journal.has(request.ask):
            return Reply(detail={"data": {"taken": 0}})
        journal.add(request.ask)
        return Reply(detail={"data": {"taken": 1}}, event=self.event(request.ask))

    def removal(self, request: StateRequest) -> Reply | None:
        return Reply(event=REMOVED, deletes=True) if request.ask == "remove" else None

    def repeat_reply(self, state: Journal, request: StateRequest) -> Reply:  # noqa: ARG002 - it says how things stand
        return Reply(detail={"data": {"taken": 0}})

    def withdraw(self, state: Journal, request: StateRequest) -> Any:
        """Let it stand: sent again, it is known by its number."""

    def unavailable(self, _: StateRequest) -> Refusal | None:
        return {"code": "unavailable", "message": "nothing was taken"}


class LaterJournalHandler(JournalHandler):
    """Of the next release: it reads both formats, and nobody else reads what it writes."""

    def encode(self, state: Journal) -> bytes:
        return b"2" + super().encode(state)

    def decode(self, key: str, saved: bytes) -> Journal:
        return super().decode(key, saved.removeprefix(b"2"))

    def event(self, row: str) -> Any:
        return {"row": row}

    def apply(self, journal: Journal, event: Any) -> None:
        super().apply(journal, event["row"] if isinstance(event, dict) else event)


_missing: Refusal = {"code": "not_found", "message": "there is no such journal"}
