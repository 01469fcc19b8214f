"""Emergency mode on a running platform: under load, over a restart of everything, without Redis."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.live.conftest import PATIENCE_SECONDS, Live, answer_of, eventually
from tests.live.load import BODIES
from tests.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

BODY = {"entity": "order-gateway", "load": 0.6, "infra": 0.4, "slo_ms": 250}
TAIL = "/models/tail-slo"
OTHERS: dict[str, dict[str, Any]] = {
    "/models/capacity-planning": {"ingest_rate": 900, "cpu": 0.4, "p99": 9},
    "/models/extreme-events": {"values": [float(each * each % 997) for each in range(900)]},
    "/models/regime-detection": {"stream": "a-drill", "values": [1.0, 2.0]},
    "/models/anomaly": {"stream": "a-drill", "points": [[1.0, 2.0]]},
    "/models/bandit": {"experiment": "a-drill", "arms": ["a", "b"], "context": {}},
}
WITHIN_SECONDS = 1.0
FALLBACKS = {"baseline", "constant"}  # a last safe answer was a model's too


@pytest.fixture
def ended(live: Live) -> Iterator[None]:
    """End it whatever happens: no test after this one would see a model's answer."""
    yield
    done = live.command("safety", "emergency", "off", "--reason", "the test is over")
    assert done.returncode == 0, done.stderr
    with live.client() as client:
        eventually(lambda: answer_of(client, BODY)["meta"]["rung"] == "model")


class Answers:
    """Clients that ask one request after the other and note when each rung's answer came."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.came: list[tuple[float, str, str]] = []

    @asynccontextmanager
    async def asked_for(self) -> AsyncIterator[None]:
        """Have every family asked on and on meanwhile, the first one by many clients."""
        bodies = [(TAIL, body) for body in BODIES[:8]]
        bodies += [(path, json.dumps(body).encode()) for path, body in OTHERS.items()]
        tasks = [asyncio.create_task(self._ask_on(path, body)) for path, body in bodies]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def more(self, moment: float, count: int, paths: set[str]) -> None:
        """Wait for so many answers after a moment, of each of these families one at least."""

        def there() -> bool:
            late = [path for at, path, _ in self.came if at > moment]
            return len(late) > count and paths <= set(late)

        await until(there, PATIENCE_SECONDS)

    def after(self, moment: float) -> dict[str, set[str]]:
        """Give the rungs of each family's answers that came after it."""
        found: dict[str, set[str]] = {}
        for at, path, rung in self.came:
            if at > moment:
                found.setdefault(path, set()).add(rung)
        return found

    async def _ask_on(self, path: str, body: bytes) -> None:
        while True:
            try:
                answer = await self._client.post(path, content=body)
            except httpx.HTTPError:  # nobody is there while all is started anew
                await asyncio.sleep(0.05)
                continue
            if answer.status_code == httpx.codes.OK:
                self.came.append((time.monotonic(), path, answer.json()["meta"]["rung"]))
            else:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def clients(live: Live) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=live.url, headers={"X-API-Key": live.key}, timeout=PATIENCE_SECONDS
    ) as client:
        yield client


async def turned_on(client: httpx.AsyncClient) -> float:
    """Turn it on; give the moment in which who did it knew that it is."""
    on = await client.post("/safety/emergency-mode", json={"enable": True, "reason": "a drill"})
    assert on.status_code == httpx.codes.OK, on.text
    return time.monotonic()


@pytest.mark.usefixtures("ended", "patient")
async def test_within_a_second_no_model_answer_leaves(live: Live) -> None:
    async with clients(live) as client:
        answers = Answers(client)
        async with answers.asked_for():
            await answers.more(0.0, 200, {TAIL, *OTHERS})
            assert "model" in answers.after(0.0)[TAIL]
            asked = time.monotonic()
            began = await turned_on(client)
            await answers.more(began + WITHIN_SECONDS, 200, {TAIL, *OTHERS})
    late = max((at for at, _, rung in answers.came if rung not in FALLBACKS), default=asked)
    print(f"the last model answer came {late - asked:.3f} s after it was asked for")  # noqa: T201 - the figure is the point
    for path, rungs in answers.after(began + WITHIN_SECONDS).items():
        assert rungs <= FALLBACKS, path


@pytest.mark.usefixtures("ended", "patient")
async def test_no_model_answers_without_redis_nor_after_a_restart_of_everything(
    live: Live,
) -> None:
    async with clients(live) as client:
        answers = Answers(client)
        async with answers.asked_for():
            await answers.more(0.0, 100, {TAIL})
            began = await turned_on(client)
            await answers.more(began + WITHIN_SECONDS, 50, {TAIL})
            (redis,) = live.pids("redis-server")
            os.kill(redis, signal.SIGSTOP)  # hangs first, which is worse than being gone
            await answers.more(time.monotonic(), 50, {TAIL})
            os.kill(redis, signal.SIGKILL)
            await answers.more(time.monotonic(), 100, {TAIL})
            await asyncio.to_thread(eventually, lambda: knows_again(live))
            down = await asyncio.to_thread(live.down)
            assert down.returncode == 0, down.stderr
            up = await asyncio.to_thread(live.up)
            assert up.returncode == 0, up.stdout + up.stderr
            await answers.more(time.monotonic(), 100, {TAIL, *OTHERS})
    for path, rungs in answers.after(began + WITHIN_SECONDS).items():
        assert rungs <= FALLBACKS, path


def knows_again(live: Live) -> bool:
    """Tell whether the state was just read, and has the emergency still."""
    with live.client() as client:
        found = client.get("/safety/status")
        if found.status_code != httpx.codes.OK or found.json()["state_age_seconds"] > 1:
            return False
        assert found.json()["emergency"]["reason"] == "a drill"
        return True
