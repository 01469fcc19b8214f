"""The smallest family with state: a tally of numbers, whose order matters."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deployments.runtime.batch import Refusal
from deployments.runtime.state.handler import Reply, StateRequest


@dataclass
class Tally:
    key: str
    total: float = 0.0
    count: int = 0
    by_id: dict[str, float] = field(default_factory=dict)

    def add(self, number: float) -> float:
        self.total = 0.5 * self.total + number  # in another order it is another number
        self.count += 1
        return self.total


class TallyHandler:
    kind = "tally"
    columns = ("total",)

    def __init__(self) -> None:
        self.released: list[str] = []
        self.replayed = 0

    def fresh(self, key: str) -> Tally:
        return Tally(key)

    def encode(self, state: Tally) -> bytes:
        return json.dumps([state.total, state.count]).encode()

    def decode(self, key: str, saved: bytes) -> Tally:
        return Tally(key, *json.loads(saved))

    def release(self, state: Tally) -> None:
        self.released.append(state.key)

    def size(self, state: Tally) -> int:  # noqa: ARG002 - all alike
        return 1_000

    def give_back(self) -> None:
        """Hold nothing beside the states themselves."""

    def replay(self, tails: Sequence[tuple[Tally, list[Any]]]) -> None:
        for state, events in tails:
            for event in events:
                state.add(event)
                self.replayed += 1

    def answer(self, rows: Sequence[tuple[Tally, StateRequest]]) -> list[Reply]:
        return [self._answer(state, request) for state, request in rows]

    def _answer(self, state: Tally, request: StateRequest) -> Reply:
        if request.ask is None:
            return Reply({"total": state.total})
        if removal := self.removal(request):
            return removal
        if request.ask < 0:
            return Reply(refusal={"code": "invalid", "message": "no negative numbers"})
        return Reply({"total": state.add(request.ask)}, event=request.ask)

    def removal(self, request: StateRequest) -> Reply | None:
        if request.ask != "delete":
            return None
        return Reply({"total": 0.0}, event="delete", deletes=True)

    def repeat_reply(self, state: Tally, request: StateRequest) -> Reply:
        return Reply({"total": state.total}, {"data": {"again": request.id}})

    def withdraw(self, state: Tally, request: StateRequest) -> Any:
        """Let it stand."""

    def unavailable(self, request: StateRequest) -> Refusal | None:
        if request.ask is None:
            return None
        return {"code": "unavailable", "message": "nothing was taken"}
