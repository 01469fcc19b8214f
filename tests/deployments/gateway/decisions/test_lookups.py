"""Lookups of decisions share questions, and each is answered by itself."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from access.keys import Role
from deployments.api.errors import NotFoundError, OverloadedError, UnavailableError
from deployments.gateway.decisions.lookups import (
    LIMITS,
    SEARCH_LIMITS,
    SEARCH_SECONDS,
    DecisionLookups,
)
from deployments.gateway.event_streams import notices
from deployments.gateway.routes import decisions
from deployments.history.client import HistoryAwayError
from deployments.history.questions import FoundDecisions
from observability.ledger.spool import SUFFIX, Spool
from tests.deployments.house import House
from tests.waiting import until

DECISION = "01a1f80f-b119-7000-807c-fcbeaee3293f"


class Archive:
    """The history actor's side: answers ids that begin with an a, when it may.

    Those that begin with a u it has to search for, and with us it finds.
    """

    def __init__(self, trouble: str | None = None) -> None:
        self.asked: list[list[str]] = []
        self.may = asyncio.Event()
        self.trouble = trouble
        self.error: Exception | None = None
        self.searched: list[tuple[str, float]] = []
        self.may_search = asyncio.Event()
        self.more: list[str] = []
        self.missing: set[str] = set()

    async def search(self, decision_id: str, within_s: float) -> FoundDecisions:
        self.searched.append((decision_id, within_s))
        await self.may_search.wait()
        found = {decision_id: b"searched"} if decision_id[:2] == "us" else {}
        found |= {each: f'"{each}"'.encode() for each in self.more if each == decision_id}
        return FoundDecisions(found, self.trouble)

    def _has(self, each: str) -> bool:
        return (
            (each[0] in "a0" or each in self.more) and each[0] != "u" and each not in self.missing
        )

    async def rows(self, ids: list[str]) -> FoundDecisions:
        self.asked.append(ids)
        await self.may.wait()
        if self.error is not None:
            raise self.error
        found = {each: f'"{each}"'.encode() for each in ids if self._has(each)}
        return FoundDecisions(found, self.trouble, tuple(each for each in ids if each[0] == "u"))


def clock() -> float:
    return 0.0


async def test_those_that_wait_share_the_next_question() -> None:
    archive = Archive()
    lookups = DecisionLookups(clock, archive)
    asking = [asyncio.create_task(lookups.row(f"a{n}")) for n in range(40)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    archive.may.set()
    assert await asyncio.gather(*asking) == [f'"a{n}"'.encode() for n in range(40)]
    assert [len(each) for each in archive.asked] == [1, 16, 23]


async def test_a_few_wait_for_the_question_that_is_on_its_way() -> None:
    archive = Archive()
    lookups = DecisionLookups(clock, archive)
    asking = [asyncio.create_task(lookups.row(f"a{n}")) for n in range(16)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [len(each) for each in archive.asked] == [1]
    archive.may.set()
    await asyncio.gather(*asking)
    assert [len(each) for each in archive.asked] == [1, 15]


async def test_nobody_waits_long_for_a_slow_question() -> None:
    """Not even when nobody else comes who would have the lane look again."""
    archive = Archive()
    lookups = DecisionLookups(clock, archive)
    asking = [asyncio.create_task(lookups.row(f"a{n}")) for n in range(3)]
    await until(lambda: len(archive.asked) == 2)
    assert archive.asked == [["a0"], ["a1", "a2"]]
    archive.may.set()
    await asyncio.gather(*asking)


async def test_a_key_that_asks_for_thousands_fills_the_queue_for_itself_alone() -> None:
    archive = Archive()
    lookups = DecisionLookups(clock, archive)
    flood = 1 + LIMITS.rows_beside_another + LIMITS.max_waiting_rows
    asking = [asyncio.create_task(lookups.row(f"a{n}", "eve")) for n in range(flood)]
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await lookups.row("a", "eve")
    other = asyncio.create_task(lookups.row("a", "ada"))
    await asyncio.sleep(0)
    archive.may.set()
    assert await other == b'"a"'
    # Ada's turn comes after one of Eve's, not after thousands.
    assert len(archive.asked) < 10
    await asyncio.gather(*asking)


async def test_each_is_answered_by_itself() -> None:
    archive = Archive()
    archive.may.set()
    lookups = DecisionLookups(clock, archive)
    found, missing = await asyncio.gather(
        lookups.row("a"), lookups.row("b"), return_exceptions=True
    )
    assert found == b'"a"'
    assert isinstance(missing, NotFoundError)


async def test_what_may_exist_is_not_told_to_be_missing() -> None:
    archive = Archive("Redis is away")
    archive.may.set()
    lookups = DecisionLookups(clock, archive)
    assert await lookups.row("a") == b'"a"'
    with pytest.raises(UnavailableError, match="Redis is away"):
        await lookups.row("b")


async def test_what_is_found_waits_for_no_search() -> None:
    archive = Archive()
    archive.may.set()
    lookups = DecisionLookups(clock, archive)
    crowd = SEARCH_LIMITS.batches_in_flight + LIMITS.max_batch_rows
    searching = [asyncio.create_task(lookups.row(f"u{n}")) for n in range(crowd)]
    assert await asyncio.gather(*(lookups.row(f"a{n}") for n in range(40)))
    await until(lambda: len(archive.searched) == SEARCH_LIMITS.batches_in_flight)
    assert not any(each.done() for each in searching)
    archive.may_search.set()
    for found in await asyncio.gather(*searching, return_exceptions=True):
        assert isinstance(found, NotFoundError)
    assert await lookups.row("us") == b"searched"


async def test_a_search_has_a_deadline_and_what_is_not_done_by_then_may_exist() -> None:
    archive = Archive("it is too long")
    archive.may.set()
    archive.may_search.set()
    lookups = DecisionLookups(clock, archive)
    with pytest.raises(UnavailableError, match="it is too long") as refused:
        await lookups.row("u")
    assert refused.value.retry_after_s is not None
    ((_, within_s),) = archive.searched
    assert 0 < within_s <= SEARCH_SECONDS


@pytest.mark.parametrize("profile", ["fast", "plain"])
async def test_a_decision_is_shown_as_the_bytes_that_were_written_down(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive()
    archive.may.set()
    monkeypatch.setattr(house.context.lookups, "_archive", archive)
    async with house.client(Role.VIEWER) as client:
        found = await client.get(f"/decisions/{DECISION}")
        assert (found.status_code, found.content) == (200, f'"{DECISION}"'.encode())
        assert found.headers["content-type"] == "application/json"
        archive.error = HistoryAwayError("The archive of decisions is on node 10.0.0.7")
        found = await client.get(f"/decisions/{DECISION}")
        assert found.status_code == 503
        assert "10.0.0.7" in found.json()["error"]["message"]
        assert found.headers["retry-after"] == "1"


async def test_head_is_answered_where_get_is(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive()
    archive.may.set()
    monkeypatch.setattr(house.context.lookups, "_archive", archive)
    monkeypatch.setattr(notices, "OPEN_SECONDS", 0.2)  # the answer to GET is read to its end

    async def away(*_: Any) -> Any:
        raise HistoryAwayError("There is no cluster here")

    monkeypatch.setattr(decisions, "ask", away)
    async with house.client(Role.ADMIN) as client:
        page = (await client.get("/openapi.json")).json()
        paths = [path for path, methods in page["paths"].items() if "get" in methods]
        assert len(paths) > 15
        for path in paths:
            asked = path.replace("{id}", DECISION).replace("{v}", "1")
            got, head = await client.get(asked), await client.head(asked)
            assert head.status_code == got.status_code, asked
            assert head.content == b"", asked
            assert head.headers["content-type"] == got.headers["content-type"], asked
        refused = await client.head("/models/tail-slo")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        refused = await client.put("/health")
        assert refused.headers["allow"] == "GET, HEAD"


class SomeSpools:
    """What waits in spools, until it is in the archive."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.why: str | None = None
        self.error: Exception | None = None
        self.asked: list[str] = []
        self.emptied: list[str] = []

    async def why_waiting(self, decision_id: str) -> str | None:
        self.asked.append(decision_id)
        self.archive.more.extend(self.emptied)
        if self.error is not None:
            raise self.error
        return self.why


@pytest.mark.parametrize("missing", ["b", "u"])
async def test_what_may_wait_in_a_spool_is_not_said_not_to_exist(missing: str) -> None:
    archive = Archive()
    archive.may.set()
    archive.may_search.set()
    spools = SomeSpools(archive)
    lookups = DecisionLookups(clock, archive, spools.why_waiting)
    spools.why = "it may wait in a spool"
    with pytest.raises(UnavailableError, match="may wait in a spool") as refused:
        await lookups.row(missing)
    assert refused.value.retry_after_s is not None
    assert await lookups.row("a") == b'"a"'
    spools.error = ConnectionError("away")
    with pytest.raises(UnavailableError, match="Redis cannot be reached"):
        await lookups.row(missing)
    spools.error = spools.why = None
    with pytest.raises(NotFoundError):
        await lookups.row(missing)
    assert spools.asked == [missing] * 3  # nobody looks for what is found


@pytest.mark.parametrize("moved", ["b", "u"])
async def test_what_leaves_the_spool_between_two_looks_is_found(moved: str) -> None:
    archive = Archive()
    archive.may.set()
    archive.may_search.set()
    spools = SomeSpools(archive)
    spools.emptied = [moved]
    lookups = DecisionLookups(clock, archive, spools.why_waiting)
    assert await lookups.row(moved) == f'"{moved}"'.encode()


async def test_what_waits_in_the_spool_of_a_gateway_that_hangs_is_not_said_not_to_exist(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive()
    archive.may.set()
    monkeypatch.setattr(house.context.lookups, "_archive", archive)
    missing = DECISION.replace("01a1f80f", "01a1f80e")
    archive.missing.add(missing)
    spool = Spool.create(Path(house.context.settings.paths.spool) / f"gateway-hangs{SUFFIX}")
    spool.append([b"an entry"])
    async with house.client(Role.VIEWER) as client:
        found = await client.get(f"/decisions/{missing}")
        assert found.status_code == 503
        assert found.headers["retry-after"] == "1"
        assert "wait for Redis" in found.json()["error"]["message"]
        assert (await client.get(f"/decisions/{DECISION}")).status_code == 200
        spool.drop(spool.peek(100))
        spool.close()
        assert (await client.get(f"/decisions/{missing}")).status_code == 404


async def test_a_refused_method_names_those_that_the_description_has(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        page = (await client.get("/openapi.json")).json()
        for path, operations in page["paths"].items():
            found = await client.request("OPTIONS", re.sub(r"{[^}]*}", "0", path))
            described = {method.upper() for method in operations}
            allowed = set(found.headers["allow"].split(", ")) - {"HEAD"}
            assert (found.status_code, allowed) == (405, described - {"HEAD"}), path
