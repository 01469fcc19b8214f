"""Which processes the platform has right now, and the signals that they are sent."""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.chaos.schedule import Action, Fault
from benchmarks.chaos.targets import BY_NAME, TARGETS
from benchmarks.platform import NotRunningError, Platform, cmdline
from launch import own_processes

Census = dict[str, list[int]]


def census(platform: Platform) -> Census:
    """Name the living processes of every kind; none while nothing runs."""
    try:
        run = platform.run
    except NotRunningError:
        return {target.name: [] for target in TARGETS}
    # The supervisor gave the token to its children and does not carry it itself.
    living = [(pid, cmdline(pid)) for pid in (run.pid, *own_processes.marked(run.token))]
    return {target.name: target.among(living) for target in TARGETS}


def absent(before: Mapping[str, list[int]], now: Mapping[str, list[int]]) -> list[str]:
    """Name the kinds that have fewer processes than before, of those that requests need."""
    return [
        name
        for name, pids in before.items()
        if not BY_NAME[name].minor and len(now[name]) < _needed(name, len(pids))
    ]


def _needed(name: str, before: int) -> int:
    steady = BY_NAME[name].steady
    return before if steady is None else min(before, steady)


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault as it was carried out; no process where the platform has none of the kind."""

    fault: Fault
    pid: int | None

    def __str__(self) -> str:
        return f"{self.fault} ({self.pid or 'none there'})"


async def strike(platform: Platform, fault: Fault) -> Struck:
    """Send the signal; a stopped process goes on before this returns."""
    found = (await asyncio.to_thread(census, platform))[fault.target]
    if not found:
        return Struck(fault, None)
    victim = found[int(fault.choice * len(found))]
    began = own_processes.started_at(victim)
    if fault.action is Action.KILL:
        _send(victim, signal.SIGKILL)
        return Struck(fault, victim)
    _send(victim, signal.SIGSTOP)
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        if began is not None and own_processes.alive(victim, began):
            _send(victim, signal.SIGCONT)
    return Struck(fault, victim)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
