"""A study in memory, and what its events do to it: the one way by which it changes."""

import struct
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from deployments.optimization.studies.events import (
    Event,
    RunElsewhere,
    TrialAsked,
    TrialGiven,
    TrialTold,
)
from deployments.optimization.studies.front import Front
from models.optimization.bayes.candidates import key_of
from models.optimization.bayes.snapshot import decode, design_from, encode
from models.optimization.bayes.study import Study, Trial

# Asks that are known when they are sent again.
KNOWN_ASKS = 512
_LENGTH = struct.Struct("<I")


@dataclass(slots=True)
class Running:
    """A study that has begun."""

    study: Study
    front: Front
    unasked: dict[bytes, int]
    """Numbers of the candidates that no trial had yet, in their order."""
    elsewhere: int = 0
    """How many rows of history were taken."""
    settled: int = 0
    """How many trials have an outcome, or failed."""
    asked: OrderedDict[str, int] = field(default_factory=OrderedDict)
    """Trials by the decisions that asked for them, the latest ones."""
    withdrawn: list[int] = field(default_factory=list)
    """Trials that nobody was given; whoever asks next is."""

    @classmethod
    def of(cls, study: Study, elsewhere: int = 0) -> "Running":
        settled = sum(trial.state != "pending" for trial in study.trials)
        candidates = study.design.candidates
        unasked = {key_of(each): number for number, each in enumerate(candidates)}
        running = cls(study, Front(study), unasked, elsewhere, settled)
        for trial in study.trials:
            running.enters(trial)
        return running

    @property
    def left(self) -> int | None:
        """Count the candidates that were not asked for; None where the study lists none."""
        return len(self.unasked) if self.study.design.candidates else None

    def open_to(self, parameters: Mapping[str, Any]) -> bool:
        """Tell whether these may be asked for: of a list, each only once."""
        return self.left is None or key_of(parameters) in self.unasked

    def withdraw(self, decisions: Sequence[str]) -> None:
        """Keep trials for whoever asks next: nobody was given them."""
        numbers = [self.asked.pop(each) for each in decisions if each in self.asked]
        self.withdrawn += [
            number for number in numbers if self.study.trials[number].state == "pending"
        ]

    def enters(self, trial: Trial) -> None:
        """Take note of a trial that is new: its candidate is not asked for again."""
        if self.unasked:
            self.unasked.pop(key_of(trial.parameters), None)

    def knows(self, decision_id: str, number: int) -> None:
        self.asked[decision_id] = number
        while len(self.asked) > KNOWN_ASKS:
            self.asked.popitem(last=False)


@dataclass(slots=True)
class KeptStudy:
    """One key's study; none while nobody has begun it."""

    name: str
    running: Running | None = None


def apply(kept: KeptStudy, event: Event) -> None:
    """Take an event's steps; what a study refuses is refused before anything has changed."""
    if "delete" in event:
        kept.running = None
        return
    if "start" in event:
        kept.running = Running.of(Study.start(design_from(event["start"])))
    running = kept.running
    if running is None:
        raise ValueError(
            f"the log of {kept.name!r} lacks its first event; it has {list(event)} instead"
        )
    for each in event.get("history", ()):
        past = RunElsewhere(*each)
        added = running.study.add(
            past.parameters, past.values, past.constraints, failed=past.failed
        )
        running.enters(added)
        running.elsewhere += 1
        running.settled += 1
        running.front.settle(added)
    if "ask" in event:
        wanted = TrialAsked(*event["ask"])
        asked = running.study.ask(wanted.parameters, wanted.gain)
        running.enters(asked)
        running.knows(wanted.decision, asked.number)
    if "withdraw" in event:
        running.withdraw(event["withdraw"])
    if "given" in event:
        given = TrialGiven(*event["given"])
        running.withdrawn.remove(given.number)
        running.knows(given.decision, given.number)
    if "tell" in event:
        came = TrialTold(*event["tell"])
        told = running.study.tell(came.number, came.values, came.constraints, failed=came.failed)
        running.settled += 1
        running.front.settle(told)
        if told.number in running.withdrawn:  # by whoever guessed its number
            running.withdrawn.remove(told.number)


def size_of(kept: KeptStudy) -> int:
    """Estimate the bytes of a study in memory; measured with tracemalloc."""
    if (running := kept.running) is None:
        return 0
    design = running.study.design
    each = 600 + 100 * len(design.space.parameters)
    return 3_000 + each * (len(design.candidates) + len(running.study.trials))


def pack(kept: KeptStudy) -> bytes:
    running = kept.running
    if running is None:
        return b""
    parts: list[Any] = [running.elsewhere, list(running.asked.items())]
    if running.withdrawn:  # an earlier release reads two parts
        parts.append(running.withdrawn)
    head = orjson.dumps(parts)
    return _LENGTH.pack(len(head)) + head + encode(running.study)


def unpack(name: str, saved: bytes) -> KeptStudy:
    if not saved:
        return KeptStudy(name)
    (length,) = _LENGTH.unpack_from(saved)
    end = _LENGTH.size + length
    elsewhere, asked, *more = orjson.loads(saved[_LENGTH.size : end])
    running = Running.of(decode(saved[end:]), elsewhere)
    for decision_id, number in asked:
        running.knows(decision_id, number)
    running.withdrawn = more[0] if more else []
    return KeptStudy(name, running)
