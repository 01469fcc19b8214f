"""One campaign: a platform under load, struck step by step, and waited for after each."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.chaos.books import Books, Wrong
from benchmarks.chaos.load import PACES
from benchmarks.chaos.outages import Outages
from benchmarks.chaos.processes import Census, Struck, absent, census, strike
from benchmarks.chaos.schedule import Action, Step
from benchmarks.platform import Platform

# So long the next step waits for answers, and for processes to be started again; a platform that
# does not answer by then is started anew, as an operator would do.
ANSWERS_SECONDS = 90.0
PROCESSES_SECONDS = 60.0
RESTARTED_SECONDS = 120.0
STARTS = 3
LOOK_EVERY_SECONDS = 0.2
Say = Callable[[str], None]


class StartError(Exception):
    """The platform cannot be started again, and the campaign cannot go on."""


@dataclass(slots=True)
class Effect:
    """What a step did to the platform and to its clients."""

    step: str
    struck: list[str]
    at: float  # seconds since the load began
    machine_load: float  # of all that runs on it, as the kernel averages the last minute
    processes_seconds: float | None = None  # until every process was there again
    answers_seconds: float | None = None  # until every endpoint answered at full strength after
    absent: list[str] = field(default_factory=list)
    later: int = 0
    broken: int = 0
    degraded: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    refused_seconds: float = 0.0
    restarted: str | None = None  # why somebody had to start the platform again
    last_words: str = ""  # of the platform before that

    def __str__(self) -> str:
        back = "not" if self.answers_seconds is None else f"{self.answers_seconds:.1f} s"
        parts = [f"{self.step}: answers {back}"]
        if self.processes_seconds is not None:
            parts.append(f"processes {self.processes_seconds:.1f} s")
        if self.absent:
            parts.append(f"not back: {', '.join(self.absent)}")
        counts = {"later": self.later, "broken": self.broken, "degraded": self.degraded}
        parts += [f"{name} {count}" for name, count in (counts | self.wrong).items() if count]
        if self.refused_seconds:
            parts.append(f"refused {self.refused_seconds:.1f} s")
        if self.restarted:
            parts.append(self.restarted)
        return "; ".join(parts)


class Campaign:
    def __init__(self, platform: Platform, books: Books, outages: Outages, say: Say) -> None:
        self._platform, self._books, self._outages, self._say = platform, books, outages, say
        self._endpoints: set[str] = set()
        self._whole: Census = {}
        self.effects: list[Effect] = []
        self.left_out = 0
        self._over = False

    def end_early(self) -> None:
        """Strike no more, and wait for nothing more."""
        self._over = True

    async def settle(self, within_s: float) -> list[str]:
        """Wait until all answer at full strength; name the endpoints that never do."""
        await _until(lambda: not set(PACES) - set(self._books.good_at), within_s)
        self._endpoints = set(PACES) & set(self._books.good_at)
        self._whole = await asyncio.to_thread(census, self._platform)
        return sorted(set(PACES) - self._endpoints)

    async def run(self, steps: list[Step], limit_s: float) -> None:
        """Take step after step; what does not fit into the time is left out, and said so."""
        began, struck = time.monotonic(), 0
        total = sum(len(step.faults) for step in steps)
        for step in steps:
            if self._over or time.monotonic() - began > limit_s:
                self.left_out = total - struck
                self._say(f"{self.left_out} faults are left out: the time is up.")
                return
            await asyncio.sleep(step.lead_seconds)
            effect = await self._suffer(step, time.monotonic() - began)
            struck += len(step.faults)
            self.effects.append(effect)
            self._say(f"{struck:3}/{total} {effect.at:5.0f} s  {effect}")

    async def _suffer(self, step: Step, at: float) -> Effect:
        before, refused = self._counts(), len(self._outages.all)
        struck = await self._strike(step)
        effect = Effect(str(step), [str(each) for each in struck], at, os.getloadavg()[0])
        killed = {each.pid for each in struck if each.fault.action is Action.KILL}
        await self._recover(effect, killed)
        after = self._counts()
        gained = {name: after[name] - before[name] for name in after}
        effect.later, effect.broken = gained.pop("later"), gained.pop("broken")
        effect.degraded = gained.pop("degraded")
        effect.wrong = {name: count for name, count in gained.items() if count}
        outages = self._outages.all[refused:]
        effect.refused_seconds = max((outage.seconds for outage in outages), default=0.0)
        return effect

    async def _strike(self, step: Step) -> list[Struck]:
        tasks = []
        for number, fault in enumerate(step.faults):
            if number:
                await asyncio.sleep(step.apart_seconds)
            tasks.append(asyncio.create_task(strike(self._platform, fault)))
        return list(await asyncio.gather(*tasks))

    def _counts(self) -> dict[str, int]:
        books = self._books
        return {
            "later": books.later.total(),
            "broken": books.broken.total(),
            "degraded": books.degraded.total(),
            **{wrong.value: books.count(wrong) for wrong in Wrong},
        }

    async def _recover(self, effect: Effect, killed: set[int | None]) -> None:
        """Wait for processes and answers, and start the platform again when it is past help.

        Answers count from when all processes are back: a platform whose Ray has died goes on
        answering for a moment before all of it is started anew.
        """
        began = whole_since = time.monotonic()
        while True:
            passed = time.monotonic() - began
            found = await asyncio.to_thread(census, self._platform)
            now = {name: [each for each in found[name] if each not in killed] for name in found}
            effect.absent = absent(self._whole, now)
            if not effect.absent and effect.processes_seconds is None:
                effect.processes_seconds = passed
            if effect.absent and passed < PROCESSES_SECONDS:
                effect.processes_seconds, whole_since = None, time.monotonic()
            elif self._all_good_since(whole_since):
                effect.answers_seconds = passed
                self._whole |= {name: now[name] for name in effect.absent}  # missed once
                return
            if self._over:
                return
            if not self._platform.runs():
                await self._restart(effect, "the platform ended and was started again")
                return
            if passed > ANSWERS_SECONDS and not self._all_good_since(began):
                await self._restart(effect, "given up on and started again")
                return
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def _all_good_since(self, moment: float) -> bool:
        return all(self._books.good_at[endpoint] > moment for endpoint in self._endpoints)

    async def _restart(self, effect: Effect, why: str) -> None:
        effect.restarted, effect.last_words = why, self._platform.last_words()
        self._say(f"{effect.step}: {why}. Its last words:\n{effect.last_words}")
        began = time.monotonic()
        await asyncio.to_thread(self._platform.down)
        for _ in range(STARTS):
            if self._over:
                return
            up = await asyncio.to_thread(self._platform.up)
            if up.returncode == 0:
                break
            effect.restarted = f"{why}, not at the first try"
            self._say(up.stderr[-1000:])
        else:
            raise StartError(f"it does not start again: {up.stdout[-2000:]}{up.stderr[-2000:]}")
        await _until(lambda: self._over or self._all_good_since(began), RESTARTED_SECONDS)
        self._whole = await asyncio.to_thread(census, self._platform)


async def _until(holds: Callable[[], bool], within_s: float) -> None:
    """Wait until it is so, or for so long."""
    deadline = time.monotonic() + within_s
    while not holds() and time.monotonic() < deadline:  # noqa: ASYNC110 - it is asked of outside
        await asyncio.sleep(LOOK_EVERY_SECONDS)
