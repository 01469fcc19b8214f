"""Switches the active version again and again, by deploys and rollbacks of an operator."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.switches.load import CLIENTS, Answer, Load
from config_store.running import RunningVersions

# One in so many goes back instead of on; of one in so many it is asked what all replicas report.
ROLLBACK_EVERY = 10
REPORTED_EVERY = 25
SEEN_SECONDS = 30.0
LOOK_SECONDS = 0.005


@dataclass(slots=True)
class Switch:
    """One, in seconds of one clock."""

    before: int
    after: int
    asked: float
    acknowledged: float
    rolled_back: bool
    seen: bool  # by every client, in time
    reported: float | None = None  # after so long all replicas reported it; they do once a second
    settled: float = 0.0  # after so long every client had its first answer by it, and none by other


class Operator:
    def __init__(self, http: httpx.AsyncClient, load: Load, running: RunningVersions) -> None:
        self._http, self._load, self._running = http, load, running
        self.switches: list[Switch] = []

    async def switch(self, numbers: Sequence[int], hashes: dict[int, str], times: int) -> None:
        """Go on from version to version in turn, and now and then back to the one before."""
        active = await self._active()
        for at in range(times):
            back = at % ROLLBACK_EVERY == ROLLBACK_EVERY - 1
            wanted = numbers[at % len(numbers)]
            if wanted == active:
                wanted = numbers[(at + 1) % len(numbers)]
            asked = time.monotonic()
            following = await self._back(active) if back else await self._on(wanted, active)
            acknowledged = time.monotonic()
            seen = await self._seen(following, acknowledged)
            found = Switch(active, following, asked, acknowledged, back, seen)
            if at % REPORTED_EVERY == 0:
                found.reported = await self._reported(hashes[following], asked)
            self.switches.append(found)
            active = following

    async def _seen(self, version: int, since: float) -> bool:
        """Wait until every client was answered by it; tell whether they were in time."""
        while not self._load.all_saw(version, since):
            if time.monotonic() > since + SEEN_SECONDS:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True

    async def _active(self) -> int:
        found = await self._http.get("/config/steering")
        found.raise_for_status()
        return int(found.json()["active"])

    async def _on(self, number: int, after: int) -> int:
        body = {"version": number, "after": after, "despite_branch": True, "reason": "a switch"}
        return await self._asked("/config/deploy", body)

    async def _back(self, after: int) -> int:
        return await self._asked("/config/rollback", {"after": after, "reason": "a switch back"})

    async def _asked(self, path: str, body: dict[str, Any]) -> int:
        found = await self._http.post(path, json=body)
        found.raise_for_status()
        return int(found.json()["active"])

    async def _reported(self, content_hash: str, asked: float) -> float | None:
        while (passed := time.monotonic() - asked) < SEEN_SECONDS:
            reports = [each for each in await self._running.all() if not each.silent]
            if reports and all(each.config_hash == content_hash for each in reports):
                return time.monotonic() - asked
            await asyncio.sleep(LOOK_SECONDS)
        return passed


def settle(switches: Sequence[Switch], answers: Sequence[Answer]) -> list[Answer]:
    """Note when each switch was through; give the answers by a version that neither end names.

    A switch is through when the last answer by the version before has come, and every client has
    had its first by the one after. Both are counted from the operator's request.
    """
    strangers: list[Answer] = []
    by_time = sorted(answers, key=lambda each: each.came)
    at = 0
    for number, switch in enumerate(switches):
        ends = switches[number + 1].asked if number + 1 < len(switches) else float("inf")
        first: dict[int, float] = {}
        last = switch.acknowledged
        while at < len(by_time) and by_time[at].came < switch.asked:
            at += 1
        while at < len(by_time) and by_time[at].came < ends:
            answer = by_time[at]
            at += 1
            if answer.version == switch.after:
                first.setdefault(answer.client, answer.came)
            elif answer.version == switch.before:
                last = max(last, answer.came)
            else:
                strangers.append(answer)
        whole = len(first) == len(CLIENTS)
        switch.settled = max(last, *first.values()) - switch.asked if whole else float("inf")
    return strangers
