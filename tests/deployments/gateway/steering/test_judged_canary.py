"""From clients' requests to a verdict: gateway, ledger, archive, judge, and back to the gateway."""

import asyncio
import time
from pathlib import Path

import pytest

from config_store.certificates.certificate import Certificate
from config_store.certificates.observations import Observation, observations
from config_store.certificates.recompute import Verified, recompute
from config_store.certificates.store import CertificateStore
from config_store.steering.rollouts.margins import BOUNDS, Bounds
from config_store.steering.rollouts.unanswered import StepOf, Unanswered
from config_store.steering.settings import Margin, RolloutSettings
from config_store.steering.state import Strategy
from deployments.history import step_evidence
from deployments.history.rollout_judge import RolloutJudge
from deployments.history.step_evidence import STATEFUL
from deployments.optimization.experiments.configured import Configured
from deployments.runtime.state.tags import tag
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.archive import Archive
from observability.ledger.stream import LedgerStream
from observability.schema import create_tables
from tests.config_store.certificates.step import plan_of
from tests.deployments.asking import post
from tests.deployments.gateway.rollouts import Operator
from tests.deployments.gateway.told_apart import at_step
from tests.deployments.house import House
from tests.waiting import PATIENCE_SECONDS, until

SETTINGS = RolloutSettings(
    margins=tuple(
        Margin(metric=each, relative=None, absolute=0.4)
        for each in ("violation_rate", "error_rate")
    ),
    alpha=0.05,
    lead_seconds=0.1,
    step_seconds=600,
    rollout_seconds=3600,
)
# As if the minute after the requests were over, and in the archive.
LATER_SECONDS = 120


@pytest.mark.parametrize("strategy", [Strategy.CANARY, Strategy.SHADOW])
@pytest.mark.usefixtures("challenger")
async def test_a_good_candidate_is_brought_on_by_what_the_clients_were_answered(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: Strategy
) -> None:
    monkeypatch.setattr(step_evidence, "SETTLING_SECONDS", 0.0)
    for metric in ("violation_rate", "error_rate"):  # so wide that a few requests are enough
        monkeypatch.setitem(BOUNDS, metric, Bounds(relative=False, least=0.0, most=0.4))
    operator = Operator(house)
    candidate = await operator.draft(at_step(house.document, 3))
    shares = (0.5, 1.0) if strategy is Strategy.CANARY else None
    await operator.deploy(candidate, "judged", strategy, shares, SETTINGS)
    for first in range(0, 200, 50):
        await house.ask(*({"entity": f"e{key}", "load": 0.5} for key in range(first, first + 50)))
        await house.context.lanes.drain()  # a shadow's lane must be idle for the next
    counts = Unanswered(house.redis)
    for version in (house.answering(), candidate):
        asked = 0
        async with asyncio.timeout(PATIENCE_SECONDS):  # a gateway adds what it counted each second
            while asked < 50:
                asked = (await counts.read(StepOf("judged", 0, version))).asked
    entries = [entry async for entry in LedgerStream(house.redis).entries()]
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)
        Archive(store).add(entries)
        judge = RolloutJudge(house.redis, Archive(store), lambda: time.time() + LATER_SECONDS)
        await judge.step()
    state = await operator.store.read()
    rollout = state.rollout or state.last_rollout
    assert rollout is not None
    (written,) = await CertificateStore(house.redis).load(rollout.certificates)
    certificate = Certificate.model_validate_json(written)
    assert (certificate.verdict, certificate.looks[-1].rows) == (
        "good",
        200 if strategy is Strategy.CANARY else 400,
    )
    assert isinstance(recompute(certificate, entries), Verified)
    assert "p99_ms is not judged" in certificate.plan.weakened
    if strategy is Strategy.CANARY:
        assert rollout.step == 1
        await until(lambda: house.context.choice.rollout == rollout)
    else:
        await until(lambda: house.answering() == candidate)


async def observed(house: House) -> list[Observation]:
    """Read the rows of the active version as the judge does."""
    entries = [entry async for entry in LedgerStream(house.redis).entries()]
    changes = {"incumbent": house.answering(), "begins_ms": 0, "stateful": STATEFUL}
    return observations(plan_of(paired=False).model_copy(update=changes), entries)


async def test_rows_of_a_model_that_is_lost_are_errors(house: House) -> None:
    await house.ask({"entity": "e", "load": 0.5})
    await house.within(model_ms=50)
    house.kill("tail")
    await house.ask({"entity": "e", "load": 0.5})
    seen = await observed(house)
    assert [each.values["error_rate"] for each in seen] == [1.0]  # of the version since
    assert [each.values["violation_rate"] for each in seen] == [0.0]


async def test_a_fallbacks_row_of_a_family_with_state_has_its_experiments_key(
    house: House,
) -> None:
    policy = house.document.safety.families["bandit"]
    limits = (policy.ranges[0].model_copy(update={"high": 0.0}), *policy.ranges[1:])
    families = house.document.safety.families | {
        "bandit": policy.model_copy(update={"ranges": limits})
    }
    safety = house.document.safety.model_copy(update={"families": families})
    (replica,) = house.replicas["optimization"]
    # As if what it compiles were wrong: safety is a check of its own.
    replica.versions._compile = lambda version: Configured(version.document.bandits, 0.3)
    await house.deploy(house.document.model_copy(update={"safety": safety}))
    ask = {"experiment": "e", "context": {}, "arms": ["a", "b"]}
    answers = [await post(house, "/models/bandit", ask) for _ in range(3)]
    assert all(each["safety"]["fallback"] for each in answers)
    assert {each.key for each in await observed(house)} == {tag("e")}
