"""Verifies the ledger for the command line: whole, or one decision's proof.

The embedded archive is one process's own. While the platform runs here, the history actor has it,
and is asked through the platform; otherwise the archive is opened here.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
from redis.asyncio import Redis

from deployments.api.audit import AuditShown
from launch.archive_command import opened_redis
from launch.errors import LaunchError
from launch.platform_client import PlatformRefusedError, client_of, fetch, running_here
from launch.run_record import Run
from observability.clickhouse import Clickhouse, open_store
from observability.clickhouse.home import elsewhere, known_home, read_mark
from observability.errors import ObservabilityError
from observability.ledger.audit import Progress, audit_and_note
from observability.ledger.lookup import Lookup
from observability.ledger.proof import Proof, verify_proof
from observability.schema import create_tables
from settings.environment import Settings

LOOK_SECONDS = 0.25
SHOWN_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, in lines; not `sound` where the ledger is not as it was written."""

    sound: bool
    lines: list[str]


async def verify_ledger(settings: Settings, progress: Progress) -> Verdict:
    """Verify every chain from its first entry to its last."""
    run = _holder(settings)
    if run is None:
        return _verdict(await _here(settings, lambda redis, store: _audit(redis, store, progress)))
    async with client_of(settings, run) as client:
        return _verdict(await _audit_by(client, progress))


async def verify_decision(settings: Settings, decision_id: str) -> Verdict:
    """Find a decision, and recompute the hashes from its row to its entry and the one after."""
    run = _holder(settings)
    if run is None:
        proof = await _here(settings, lambda redis, store: Lookup(redis, store).proof(decision_id))
    else:
        async with client_of(settings, run) as client:
            proof = await _proof_by(client, decision_id)
    if proof is None:
        return Verdict(sound=False, lines=[f"{decision_id} is not in the ledger."])
    return _proven(decision_id, proof)


def _holder(settings: Settings) -> Run | None:
    """Find the run that has the archive open; a server is open to everybody."""
    return running_here(settings) if settings.clickhouse_url is None else None


async def _here(settings: Settings, work: Callable[[Redis, Clickhouse], Any]) -> Any:
    async with opened_redis(settings) as redis:
        if settings.clickhouse_url is None:
            await _refuse_another_folder(settings, redis)
        with ExitStack() as undo:
            try:
                folder = settings.paths.history
                store = await asyncio.to_thread(open_store, settings.clickhouse_url, folder)
                undo.callback(store.close)
                await asyncio.to_thread(create_tables, store)
                return await work(redis, store)
            except ObservabilityError as error:
                raise LaunchError(f"The ledger cannot be read: {error}") from None


async def _refuse_another_folder(settings: Settings, redis: Redis) -> None:
    known, folder = await known_home(redis), settings.paths.history
    if known is None:
        raise LaunchError("There is no ledger here yet: start the platform with `ballast up`.")
    if known.archive_id != read_mark(folder):
        raise LaunchError(elsewhere(known, folder, "this one"))


async def _audit(redis: Redis, store: Clickhouse, progress: Progress) -> AuditShown:
    report = AuditShown(state="done", asked_at=time.time())
    report.note(await audit_and_note(redis, store, progress))
    return report


async def _audit_by(client: httpx.AsyncClient, progress: Progress) -> AuditShown:
    said = await fetch(client, "POST", "/ledger/audit")
    while said["state"] in ("queued", "running"):
        if said["of"]:  # until the entries are counted there is no share to give
            progress(said["entries"], said["of"])
        await asyncio.sleep(LOOK_SECONDS)
        said = await fetch(client, "GET", "/ledger/audit")
    if said["state"] == "none":
        raise LaunchError("Redis was emptied during the audit: try again.")
    return AuditShown.model_validate(said)


async def _proof_by(client: httpx.AsyncClient, decision_id: str) -> Proof | None:
    try:
        return Proof.from_json(await fetch(client, "GET", f"/ledger/proof/{decision_id}"))
    except PlatformRefusedError as refused:
        if refused.status == httpx.codes.NOT_FOUND:
            return None
        raise


def _verdict(report: AuditShown) -> Verdict:
    if report.state != "done":
        raise LaunchError(f"The audit could not be made: {report.reason}")
    if report.whole and not report.entries:
        return Verdict(sound=True, lines=["The ledger is empty: it holds no decision yet."])
    entries = _number(report.entries, "entry", "entries")
    size = f"{entries} with {_number(report.rows, 'decision', 'decisions')}"
    chains = _number(report.chains, "chain", "chains")
    if report.whole:
        return Verdict(sound=True, lines=[f"The ledger is whole: {size} in {chains}."])
    count = report.fault_count
    faults = _number(count, "fault", "faults")
    lines = [f"The ledger is NOT whole: {faults} in {size} of {chains}."]
    for fault in report.faults[:SHOWN_FAULTS]:
        place = f"{fault.writer} {fault.seq}: " if fault.writer else ""
        lines.append(f"  {fault.kind:<9} {place}{fault.message}")
    if count > SHOWN_FAULTS:
        lines.append(f"  and {count - SHOWN_FAULTS:,} more")
    return Verdict(sound=False, lines=lines)


def _number(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def _proven(decision_id: str, proof: Proof) -> Verdict:
    entry, after = proof.link, proof.successor
    place = f"row {proof.leaf} of entry {entry.header.seq} of {entry.header.writer}"
    if not verify_proof(proof) or decision_id.encode() not in proof.row:
        line = f"{decision_id} was ALTERED: {place} does not match its hashes."
        return Verdict(sound=False, lines=[line])
    lines = [f"{decision_id} is in the ledger unchanged: {place}."]
    lines.append(f"  entry {entry.header.seq}  {entry.entry_hash.hex()}")
    if after is None:
        lines.append("  no entry follows it yet")
    else:
        lines.append(f"  entry {after.header.seq}  {after.entry_hash.hex()}  builds on it")
    return Verdict(sound=True, lines=lines)
