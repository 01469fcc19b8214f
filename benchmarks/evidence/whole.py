"""Whole rollouts, judged as the platform does it: by the entries of a ledger, each minute.

The plan of a step, the minutes, the groups and the tests are those of `deployments/history`; only
the archive is one in memory. A step without a verdict is followed by the next one all the same, so
that each has its chance to be wrong.
"""

from dataclasses import dataclass

import numpy as np
import orjson

from access.keys import Role
from benchmarks.evidence.traffic import Law, Regression, Traffic, play
from config_store.steering import headers
from config_store.steering.adoption import found_state
from config_store.steering.commands import Actor, Deploy, Validated
from config_store.steering.rollouts.shares import CANARY_SHARES, place
from config_store.steering.rollouts.steps import needs_evidence
from config_store.steering.settings import RolloutSettings
from config_store.steering.state import Rollout, SteeringState, Strategy
from config_store.steering.transitions import apply
from deployments.history.look_times import ARCHIVED_SECONDS
from deployments.history.step_evidence import StepEvidence, plan_of
from models.evidence.verdict import Verdict
from observability.ledger.entry import NO_HASH, Entry, Header

INCUMBENT, CANDIDATE = 4, 5
BY = Actor("bench", Role.ADMIN)
BEGUN = 1_790_000_000.0
MINUTES = 15
PER_MINUTE = 200
GATEWAYS = ("gw-a", "gw-b")
# Of the requests of a minute the last ones are written down in the next.
WRITTEN_LATER_MS = 400


@dataclass(frozen=True)
class Whole:
    """What became of a rollout: the verdict of each of its judged steps."""

    verdicts: tuple[Verdict, ...]

    @property
    def rolled_back(self) -> bool:
        return Verdict.BAD in self.verdicts


class MemoryArchive:
    """The part of the archive that a judge reads."""

    def __init__(self) -> None:
        self._chains: dict[str, list[Entry]] = {name: [] for name in GATEWAYS}

    def add(self, writer: str, created_ms: int, rows: list[bytes]) -> None:
        chain = self._chains[writer]
        header = Header(writer, len(chain), created_ms, len(rows))
        chain.append(Entry(header, NO_HASH, NO_HASH, tuple(rows)))

    def spans(self, since_ms: int, before_ms: int) -> list[tuple[str, int, int]]:
        found = []
        for writer, chain in self._chains.items():
            numbers = [
                each.header.seq for each in chain if since_ms <= each.header.created_ms < before_ms
            ]
            if numbers:
                found.append((writer, numbers[0], numbers[-1]))
        return found

    def window(self, writer: str, first: int, last: int) -> list[Entry]:
        return self._chains[writer][first : last + 1]


def play_whole(law: Law, regression: Regression, settings: RolloutSettings, number: int) -> Whole:
    """Play a canary with the shares that are the default."""
    rng = np.random.default_rng([2027, number])
    rollout = rollout_of(begun(settings, number))
    requests = MINUTES * PER_MINUTE
    steps = [at for at in range(len(CANARY_SHARES)) if needs_evidence(_at(rollout, at))]
    # Keys keep their levels from step to step.
    traffic = play(law, regression, requests * len(steps), 0.5, rng)
    return Whole(tuple(_judge(_at(rollout, step), traffic, step * requests) for step in steps))


def begun(
    settings: RolloutSettings,
    number: int,
    strategy: Strategy = Strategy.CANARY,
    shares: tuple[float, ...] | None = None,
) -> SteeringState:
    """Deploy a version on top of another one, as steering does."""
    versions = range(1, CANDIDATE + 1)
    known = tuple(headers.Header(n, f"{n:064x}", BY.name, "", BEGUN) for n in versions)
    state = found_state(known, INCUMBENT)
    name = f"rollout-{number}"
    deploy = Deploy(CANDIDATE, strategy, name, INCUMBENT, shares=shares, settings=settings)
    for command in (Validated(CANDIDATE, f"{CANDIDATE:064x}"), deploy):
        state = apply(state, command, BY, BEGUN).state
    return state


def rollout_of(state: SteeringState) -> Rollout:
    if state.rollout is None:
        raise RuntimeError("The rollout did not begin")
    return state.rollout


def _at(rollout: Rollout, step: int) -> Rollout:
    begun = BEGUN + step * 60 * (MINUTES + 2)
    return rollout.model_copy(update={"step": step, "step_begun": begun})


def _judge(rollout: Rollout, traffic: Traffic, first: int) -> Verdict:
    archive, evidence = MemoryArchive(), StepEvidence.begin(plan_of(rollout))
    minute_ms = int(rollout.step_begun // 60 + 1) * 60_000
    for minute in range(MINUTES):
        begin = first + minute * PER_MINUTE
        _write(archive, rollout, traffic, range(begin, begin + PER_MINUTE), minute_ms)
        minute_ms += 60_000
        now = minute_ms / 1000 + ARCHIVED_SECONDS
        if evidence.due(now):
            look = evidence.look(archive, now)
            if look.verdict is not Verdict.UNKNOWN:
                return look.verdict
    return Verdict.UNKNOWN


def _write(
    archive: MemoryArchive, rollout: Rollout, traffic: Traffic, rows: range, minute_ms: int
) -> None:
    """Write a minute's rows into entries of a second, by the gateway that had them."""
    entries: dict[tuple[str, int], list[bytes]] = {}
    for at in rows:
        ms = minute_ms + (at - rows.start) * 60_000 // len(rows)
        written_ms = (ms + WRITTEN_LATER_MS) // 1000 * 1000
        writer = GATEWAYS[at % len(GATEWAYS)]
        entries.setdefault((writer, written_ms), []).append(_row(rollout, traffic, at, ms))
    for (writer, written_ms), found in sorted(entries.items()):
        archive.add(writer, written_ms, found)


def _row(rollout: Rollout, traffic: Traffic, at: int, ms: int) -> bytes:
    key = f"k{traffic.key[at]}"
    arm = int(place(rollout.id, key) < rollout.shares[rollout.step])
    stamp = f"{ms:012x}"
    return orjson.dumps(
        {
            "decision_id": f"{stamp[:8]}-{stamp[8:]}-7000-8000-{at:012x}",
            "family": "tail",
            "entity": key,
            "config_version": CANDIDATE if arm else INCUMBENT,
            "allowed": not traffic.violations[arm][at],
            "processing_time_ms": float(traffic.latency[arm][at]),
            "answer": {
                "interval": {
                    "lower": 0.0,
                    "upper": float(traffic.width[arm][at]),
                    "method": "cqr",
                },
                "safety": {"fallback": False},
                "meta": {"model": "tail"},
            },
        }
    )
