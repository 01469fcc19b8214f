"""A candidate that is the incumbent once more, through the gateway's own lanes in virtual time.

What a lane makes of two versions' rows is no property of a version: where each takes its turn, an
arm with fewer rows waits longer. So both are answered by the very same law here, and what the judge
is given must not tell them apart.
"""

import asyncio
import selectors
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, cast

import numpy as np

from access.keys import Principal, Role
from benchmarks.evidence.traffic import Floats
from benchmarks.evidence.whole import BEGUN, CANDIDATE, INCUMBENT, begun, rollout_of
from config_store.certificates.plan import Plan
from config_store.shipped import default_document
from config_store.steering.rollouts.shares import is_compared
from config_store.steering.settings import RolloutSettings
from config_store.steering.state import Rollout, Strategy
from config_store.store import Version
from deployments.api.tail import TailBody
from deployments.gateway.lanes.lanes import Lanes
from deployments.gateway.pipeline.answers import Answered, LaneRow
from deployments.gateway.steering.choice import VersionChoice
from deployments.history.look_times import SETTLING_SECONDS
from deployments.history.step_evidence import plan_of
from models.evidence.trial import Pairs, Requests, Trial
from models.evidence.verdict import Verdict

FAMILY = "tail"
CLIENT = Principal("bench", Role.CLIENT)
AT_ONCE = 10_000  # requests that may be on their way


@dataclass(frozen=True)
class Setting:
    """How often requests come, and how long a batch takes, which is lognormal."""

    name: str
    strategy: Strategy
    share: float = 0.05
    per_second: float = 300.0
    minutes: float = 20.0
    keys: int = 5_000
    batch_s: float = 0.004
    row_s: float = 0.00002
    sigma: float = 0.2
    slower: float = 1.0  # the candidate's batches take so many times as long


SETTINGS = tuple(
    Setting("canary", Strategy.CANARY, share, per_second)
    for share in (0.01, 0.05)
    for per_second in (100.0, 300.0)
) + tuple(Setting("shadow", Strategy.SHADOW, 0.0, each) for each in (20.0, 100.0, 300.0))


@dataclass(frozen=True)
class Judged:
    """What was said of it, and the milliseconds that were compared: [0] the incumbent's."""

    verdict: Verdict
    reason: str
    compared: tuple[Floats, Floats]

    def ratio(self, quantile: float) -> float:
        incumbent, candidate = (float(np.quantile(each, quantile)) for each in self.compared)
        return candidate / incumbent


@dataclass(frozen=True)
class _Row:
    key: str
    minute: int
    candidate: bool
    ms: float
    answers: str


class _Timeless(selectors.SelectSelector):
    """Passes the time for which nobody has anything to do at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += max(timeout or 0.0, 0.0)
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._timeless = _Timeless()
        super().__init__(self._timeless)

    def time(self) -> float:
        return self._timeless.now


class _Clocks:
    def __init__(self, loop: asyncio.AbstractEventLoop, begin: float) -> None:
        self._loop, self._begin = loop, begin

    def wall(self) -> float:
        return self._begin + self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()


class _Served:
    """Stands for all stages: a batch takes its time, whichever version it is of."""

    def __init__(self, setting: Setting, clocks: _Clocks, rng: np.random.Generator) -> None:
        self._setting, self._clocks, self._rng = setting, clocks, rng
        self._ids = count()
        self.rows: list[_Row] = []

    async def carry(self, asks: list[LaneRow]) -> Sequence[Answered]:
        setting, candidate = self._setting, asks[0].version.number == CANDIDATE
        noise = setting.sigma * self._rng.standard_normal() - setting.sigma**2 / 2
        taken = (setting.batch_s + setting.row_s * len(asks)) * float(np.exp(noise))
        await asyncio.sleep(taken * (setting.slower if candidate else 1.0))
        now, answers = self._clocks.monotonic(), list[Answered]()
        for ask in asks:
            answers.append(Answered(f"d{next(self._ids)}", b""))
            ms, of = 1000 * (now - ask.received), ask.shadow_of or answers[-1].decision_id
            self.rows.append(_Row(ask.body.entity, int(now // 60), candidate, ms, of))
        return answers

    async def drain(self) -> None:
        """Nothing goes on behind an answer."""


def judge_through_lanes(setting: Setting, seed: int) -> Judged:
    """Play a step, and judge its p99 as the platform does, minute by minute."""
    state = begun(RolloutSettings(), seed, setting.strategy, _shares(setting))
    rollout = rollout_of(state)
    rng = np.random.default_rng([2028, seed])
    loop = _VirtualLoop()
    try:
        clocks = _Clocks(loop, max(BEGUN, rollout.step_begun) + SETTLING_SECONDS)
        choice = VersionChoice(lambda: None, clocks.wall)
        choice.take_over(state, _version(INCUMBENT), _version(CANDIDATE))
        served = _Served(setting, clocks, rng)
        lanes = Lanes(cast("Any", {FAMILY: served}), choice, clocks)
        loop.run_until_complete(_ask(setting, lanes, rng))
    finally:
        loop.close()
    return _judged(rollout, served.rows)


def _shares(setting: Setting) -> tuple[float, ...] | None:
    return (setting.share, 1.0) if setting.strategy is Strategy.CANARY else None


def _version(number: int) -> Version:
    document, created = default_document(), datetime(2026, 3, 2, tzinfo=UTC)
    return Version(number, document.config_hash, "bench", "", created, document)


async def _ask(setting: Setting, lanes: Lanes, rng: np.random.Generator) -> None:
    asks = int(60 * setting.minutes * setting.per_second)
    pauses = rng.exponential(1 / setting.per_second, asks).tolist()
    keys = rng.integers(0, setting.keys, asks).tolist()
    going = set[asyncio.Task[Any]]()
    for pause, key in zip(pauses, keys, strict=True):
        await asyncio.sleep(pause)
        body = TailBody(entity=f"k{key}", load=0.5)
        going.add(asyncio.create_task(lanes.ask(FAMILY, [body], CLIENT, lanes.now(), "")))
        if len(going) >= AT_ONCE:
            await asyncio.gather(*going)
            going.clear()
    await asyncio.gather(*going)
    await lanes.drain()


def _judged(rollout: Rollout, rows: list[_Row]) -> Judged:
    plan = plan_of(rollout)
    metrics = tuple(each for each in plan.margins.metrics if each.name == "p99_ms")
    trial = Trial(plan.margins.model_copy(update={"metrics": metrics}), plan.design)
    seen, pairs = trial.look(), _pairs(rows) if plan.design.paired else []
    for minute in range(1 + max(each.minute for each in rows)):
        if plan.design.paired:
            trial.add(_paired([each for each in pairs if each[1].minute == minute]))
        else:
            trial.add(_requests(plan, [each for each in rows if each.minute == minute]))
        seen = trial.look()
        if seen.verdict is not Verdict.UNKNOWN:
            break
    compared = [each for each in rows if is_compared(plan.rollout, each.key, plan.design.share)]
    arms = zip(*pairs, strict=True) if pairs else _by_arm(compared)
    values = [np.array([each.ms for each in arm]) for arm in arms]
    return Judged(seen.verdict, seen.reason, (values[0], values[1]))


def _by_arm(rows: list[_Row]) -> list[list[_Row]]:
    return [[each for each in rows if each.candidate is arm] for arm in (False, True)]


def _pairs(rows: list[_Row]) -> list[tuple[_Row, _Row]]:
    incumbents = {each.answers: each for each in rows if not each.candidate}
    return [(incumbents[each.answers], each) for each in rows if each.candidate]


def _requests(plan: Plan, rows: list[_Row]) -> Requests:
    share = plan.design.share
    compared = [is_compared(plan.rollout, each.key, share) for each in rows]
    return Requests(
        [each.key for each in rows],
        np.array([each.minute for each in rows], dtype=np.int64),
        np.array([each.candidate for each in rows], dtype=np.bool_),
        {"p99_ms": np.array([each.ms for each in rows])},
        {"p99_ms": np.array(compared, dtype=np.bool_)},
    )


def _paired(pairs: list[tuple[_Row, _Row]]) -> Pairs:
    values = [{"p99_ms": np.array([each[arm].ms for each in pairs])} for arm in (0, 1)]
    minutes = np.array([each.minute for _, each in pairs], dtype=np.int64)
    return Pairs([each.key for each, _ in pairs], minutes, *values)
