"""`ballast audit` while the platform runs: the history verifies, the gateway says how far."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from access.keys import Role
from deployments.gateway.routes import decisions
from deployments.history.audit_jobs import AuditJobs
from deployments.history.questions import Questions
from launch import audit_command, own_processes
from launch.run_record import Run, RunRecord
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.decision import Decision, DecisionIds
from observability.ledger.lookup import Lookup
from observability.ledger.writer import LedgerWriter, Timing
from observability.schema import create_tables
from settings.environment import Settings
from tests.deployments.house import House
from tests.waiting import PATIENCE_SECONDS, eventually


class History:
    """What the history actor does when it is asked for these."""

    def __init__(self, house: House, store: EmbeddedClickhouse) -> None:
        self._audits = AuditJobs(house.redis, store, time.time)
        self._lookup = Lookup(house.redis, store)

    async def ask(self, question: object, *args: Any) -> Any:
        if question is Questions.begin_audit:
            return await self._audits.begin()
        if question is Questions.audit:
            return await self._audits.get()
        assert question is Questions.proof
        found = await self._lookup.proof(*args)
        return None if found is None else found.to_json()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedClickhouse]:
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)
        yield store


@pytest.fixture
def running(
    house: House, store: EmbeddedClickhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Note a run in a home of its own, whose gateway is the house's."""
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(decisions, "ask", History(house, store).ask)
    monkeypatch.setattr(audit_command, "client_of", lambda *_: house.client(Role.ADMIN))
    started = own_processes.started_at(os.getpid())
    assert started is not None
    (tmp_path / "home/run").mkdir(parents=True)
    run = Run("token", os.getpid(), started, "http://ballast", str(tmp_path), ready=True)
    RunRecord(tmp_path / "home").write(run)


@pytest.mark.usefixtures("running")
async def test_the_running_platform_is_asked(house: House, tmp_path: Path) -> None:
    (name,) = DecisionIds(time.time, os.urandom).take(1)
    async with LedgerWriter(
        house.redis,
        writer="w",
        spool_dir=tmp_path / "spool",
        clock=time.time,
        timing=Timing(timeout=PATIENCE_SECONDS),
    ) as pen:
        await pen.append([Decision(name, orjson.dumps({"decision_id": name}))])
    verdict = await audit_command.verify_ledger(Settings(), lambda *_: None)
    assert verdict.sound, verdict.lines
    assert "2 entries with 1 decision in" in verdict.lines[0]
    verdict = await audit_command.verify_decision(Settings(), name)
    assert verdict.sound, verdict.lines
    await house.redis.xadd("ballast:ledger", {b"e": b"torn"})
    verdict = await audit_command.verify_ledger(Settings(), lambda *_: None)
    assert not verdict.sound
    assert verdict.lines[1].split()[0] == "damaged"


async def test_who_may_begin_an_audit(
    house: House, store: EmbeddedClickhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "ask", History(house, store).ask)
    async with house.client(Role.CLIENT) as client:
        assert (await client.post("/ledger/audit")).status_code == 403
        found = await client.get("/ledger/audit")
        assert (found.status_code, found.json()["state"]) == (200, "none")
    async with house.client(Role.OPERATOR) as client:
        found = await client.post("/ledger/audit")
        assert (found.status_code, found.json()["state"]) == (202, "running")

        async def is_over() -> bool:
            return bool((await client.get("/ledger/audit")).json()["state"] != "running")

        await eventually(is_over)
        found = await client.get("/ledger/audit")
        assert (found.status_code, found.json()["state"]) == (200, "done")
