"""GET /timeline through the gateway, with a real engine behind it."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from access.keys import Role
from deployments.gateway.routes import timeline
from deployments.history.client import HistoryAwayError
from deployments.history.questions import Questions
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from observability.timeline.event import Event
from observability.timeline.store import append, read
from tests.deployments.house import House

AT = 1_772_461_800  # 2026-03-02T14:30:00Z

EVENTS = [
    Event("deploy", AT, "orders", "prod"),
    Event("source_away", AT + 60, source="prod", details={"reason": "connection refused"}),
    Event("deploy", AT + 120, "quotes", "prod"),
    Event("source_back", AT + 180, source="prod"),
]


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Do what the history actor does when it is asked."""
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)
        append(store, EVENTS, AT + 240)

        async def ask(question: object, *args: Any, **named: Any) -> Any:
            assert question is Questions.timeline
            return await asyncio.to_thread(partial(read, store, *args, **named))

        monkeypatch.setattr(timeline, "ask", ask)
        yield


@pytest.mark.usefixtures("history")
async def test_it_lists_what_changed_newest_first(house: House) -> None:
    async with house.client(Role.VIEWER) as client:
        found = (await client.get("/timeline")).json()
    assert [each["kind"] for each in found["events"]] == [each.kind for each in EVENTS[::-1]]
    assert found["next"] is None
    assert found["events"][2] == {
        "id": EVENTS[1].id,
        "time": "2026-03-02T14:31:00Z",
        "known": "2026-03-02T14:34:00Z",
        "kind": "source_away",
        "entity": "",
        "source": "prod",
        "summary": "The source prod does not answer: connection refused",
        "details": {"reason": "connection refused"},
    }


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("asked", "places"),
    [
        ("kind=deploy", [2, 0]),
        ("kind=deploy&kind=source_back", [3, 2, 0]),
        ("entity=quotes", [2]),
        ("since=2026-03-02T14:31:00Z&until=2026-03-02T14:33:00%2B00:00", [2, 1]),
        ("since=2026-03-02T15:34:00%2B01:00", []),
    ],
)
async def test_it_lists_what_is_asked_for(house: House, asked: str, places: list[int]) -> None:
    async with house.client(Role.VIEWER) as client:
        found = (await client.get(f"/timeline?{asked}")).json()
    assert [each["id"] for each in found["events"]] == [EVENTS[at].id for at in places]


@pytest.mark.usefixtures("history")
async def test_a_page_says_where_the_next_one_begins(house: House) -> None:
    async with house.client(Role.VIEWER) as client:
        first = (await client.get("/timeline?limit=3")).json()
        params = {"limit": 3, "before": first["next"]}
        second = (await client.get("/timeline", params=params)).json()
    assert [each["id"] for each in second["events"]] == [EVENTS[0].id]
    assert second["next"] is None


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    "asked", ["kind=deploys", "limit=0", "limit=1001", "since=1", "before=last", "before=1_x"]
)
async def test_what_cannot_be_asked_is_refused(house: House, asked: str) -> None:
    async with house.client(Role.VIEWER) as client:
        assert (await client.get(f"/timeline?{asked}")).status_code == 422


async def test_without_the_history_it_says_so(house: House) -> None:
    async with house.client(Role.VIEWER) as client:
        answer = await client.get("/timeline")
    assert answer.status_code == HistoryAwayError("").status
    assert "history" in answer.json()["error"]["message"]
