"""From clients' requests to a verdict: gateway, ledger, archive, judge, and back to the gateway."""

import time
from pathlib import Path

import pytest

from config_store.certificates.certificate import Certificate
from config_store.certificates.recompute import Verified, recompute
from config_store.certificates.store import CertificateStore
from config_store.steering.settings import Margin, RolloutSettings
from config_store.steering.state import Strategy
from deployments.history import step_evidence
from deployments.history.rollout_judge import RolloutJudge
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.archive import Archive
from observability.ledger.stream import LedgerStream
from observability.schema import create_tables
from tests.deployments.gateway.rollouts import Operator
from tests.deployments.gateway.told_apart import at_step
from tests.deployments.house import House
from tests.waiting import until

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
    operator = Operator(house)
    candidate = await operator.draft(at_step(house.document, 3))
    shares = (0.5, 1.0) if strategy is Strategy.CANARY else None
    await operator.deploy(candidate, "judged", strategy, shares, SETTINGS)
    for first in range(0, 200, 50):
        await house.ask(*({"entity": f"e{key}", "load": 0.5} for key in range(first, first + 50)))
    await house.context.lanes.drain()
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
    if strategy is Strategy.CANARY:
        assert rollout.step == 1
        await until(lambda: house.context.choice.rollout == rollout)
    else:
        await until(lambda: house.answering() == candidate)
