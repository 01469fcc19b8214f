"""The impact of a draft: recorded decisions of the real gateway, played once more under it.

What a replay foretells is held against what happens: the draft is deployed, and the same is asked.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from access.keys import Role
from config_store.document import ConfigDocument
from config_store.store import ConfigStore
from deployments.api.impact import ImpactShown
from deployments.api.shipped import FAMILIES
from deployments.gateway.routes import config_impact
from deployments.history.impact_jobs import ImpactJobs
from deployments.history.questions import Questions
from deployments.impact import tally
from deployments.impact.models_again import AskedAgain
from deployments.impact.playing import Playing
from deployments.impact.recorded import read
from deployments.impact.replay import Rules
from deployments.impact.said import answered, model_said
from deployments.runtime.batch import Batch
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.archive import Archive
from observability.ledger.stream import LedgerStream
from observability.schema import create_tables
from safety.conditions import Comparison
from safety.limits import Forbidden, Level, Range, Repair
from safety.policy import FamilyPolicy
from safety.rungs import Rungs
from tests.deployments.gateway.rollouts import Operator
from tests.deployments.gateway.told_apart import CHALLENGER
from tests.deployments.house import House, document_with
from tests.waiting import PATIENCE_SECONDS

Body = dict[str, Any]
Answer = dict[str, Any]

SERIES = [round(20 + (7919 * at % 997) / 31, 3) for at in range(120)]
EVERY_FAMILY: list[tuple[str, Body]] = [
    ("/models/tail-slo", {"entity": "order-gateway", "load": 0.5, "slo_ms": 20}),
    ("/models/tail-slo", {"load": 1.6, "infra": 1.0, "error_rate": 0.5}),
    ("/models/tail-slo", {"entity": "order-gateway", "load": 0.5, "slo_ms": 1e7}),
    ("/models/capacity-planning", {"entity": "order-gateway", "ingest_rate": 2000}),
    ("/models/capacity-planning", {"entity": "nobody", "ingest_rate": 90_000}),
    ("/models/forecast", {"values": SERIES, "frequency": "5m", "horizon": 4}),
    (
        "/models/forecast",
        {"values": SERIES[:5], "start": "2026-11-20T00:00:00Z", "frequency": "6h", "horizon": 3},
    ),
    ("/models/extreme-events", {"values": SERIES, "threshold_quantile": 0.8}),
    ("/models/regime-detection", {"stream": "a", "values": [18.2, 18.9, 41.5]}),
    ("/models/anomaly", {"stream": "b", "points": [[0.7, 18.2], [0.73, 19.0], [9.0, 1.0]]}),
    ("/models/bandit", {"experiment": "e", "context": {}, "arms": ["one", "two"]}),
    (
        "/models/bayes-opt",
        {
            "study": "s",
            "space": {"threads": {"type": "int", "low": 1, "high": 32}},
            "goal": "minimise",
        },
    ),
    ("/models/bayes-opt/tell", {"study": "s", "trial_id": 0, "value": 41.7}),
]


def bodies(n: int, seed: int = 1) -> list[Body]:
    """Make questions about the tail, of an entity that is known and of others."""
    draw = np.random.default_rng(seed)
    return [
        {
            "entity": ("order-gateway", "settlement", "nobody")[at % 3],
            "load": round(float(draw.uniform(0, 1.5)), 3),
            "infra": round(float(draw.uniform(0, 1)), 3),
            "error_rate": round(float(draw.beta(1, 50)), 4),
        }
        | ({"slo_ms": round(float(draw.lognormal(3.4, 0.5)), 1)} if at % 4 == 0 else {})
        for at in range(n)
    ]


def with_policy(document: ConfigDocument, family: str, **changes: Any) -> ConfigDocument:
    """Change the policy of one family."""
    policy: FamilyPolicy = document.safety.families[family].model_copy(update=changes)
    safety = document.safety.model_copy(
        update={"families": document.safety.families | {family: policy}}
    )
    return document.model_copy(update={"safety": safety})


PRESSED = Forbidden(
    name="pressed",
    when=Comparison(left="infra", op=">", right=0.7),
    level=Level.UNSAFE,
    message="Under such pressure no model was tried.",
)


def stricter(document: ConfigDocument) -> ConfigDocument:
    """Limit the fleet, trust no model under pressure, and do not warn of wide intervals."""
    tail = document.safety.families["tail"]
    fewer = Range(
        field="autoscale_workers",
        high=12,
        level=Level.UNSAFE,
        repair=Repair.CLAMP,
        message="Twelve are enough.",
    )
    return with_policy(
        document,
        "tail",
        ranges=(*tail.ranges, fewer),
        forbidden=(PRESSED,),
        widths=tail.widths[1:],
    )


def forgetful(document: ConfigDocument) -> ConfigDocument:
    """Leave out the rung of last answers, of which one that is asked anew has others."""
    return with_policy(document, "tail", rungs=Rungs())


class Replays:
    """The part of a history that replays, over an archive of what the house has recorded."""

    def __init__(self, house: House, folder: Path, store: EmbeddedClickhouse) -> None:
        self._house = house
        self._store = store
        self._known = 0
        self.jobs = ImpactJobs(house.redis, store, folder)

    async def archive(self) -> None:
        """Put what was recorded since the last time into the archive."""
        await self._house.context.lanes.drain()
        entries = [entry async for entry in LedgerStream(self._house.redis).entries()]
        Archive(self._store).add(entries)

    async def ask(self, question: object, *args: Any) -> Any:
        asked: dict[object, Any] = {
            Questions.begin_impact: self.jobs.begin,
            Questions.impact: self.jobs.get,
            Questions.cancel_impact: self.jobs.cancel,
        }
        return await asked[question](*args)

    async def impact(self, number: int, query: str = "") -> ImpactShown:
        """Have a version replayed through the gateway, as the command line does."""
        await self.archive()
        path = f"/config/versions/{number}/impact"
        async with self._house.client(Role.OPERATOR) as client:
            begun = await client.post(f"{path}{query}")
            assert begun.status_code == 202, begun.text
            async with asyncio.timeout(PATIENCE_SECONDS):
                found = begun.json()
                while found["state"] in ("queued", "running"):
                    await asyncio.sleep(0.02)
                    found = (await client.get(path)).json()
        return ImpactShown.model_validate(found)


@asynccontextmanager
async def replaying(house: House, tmp_path: Path) -> AsyncIterator[Replays]:
    with EmbeddedClickhouse(tmp_path / "chdb") as store, pytest.MonkeyPatch.context() as patch:
        create_tables(store)
        replays = Replays(house, house.context.settings.paths.models, store)
        patch.setattr(config_impact, "ask", replays.ask)
        yield replays
        await replays.jobs.close()


@pytest.fixture
async def replays(house: House, tmp_path: Path) -> AsyncIterator[Replays]:
    async with replaying(house, tmp_path) as found:
        yield found


async def draft(house: House, document: ConfigDocument) -> int:
    return await Operator(house).draft(document)


def moved(before: Sequence[Answer], after: Sequence[Answer], name: str) -> Iterator[float]:
    """Give the sizes of what changed in one number of the answers."""
    for one, other in zip(before, after, strict=True):
        then, now = number(one, name), number(other, name)
        if then != now:
            yield abs(now - then)


def number(answer: Answer, name: str) -> float:
    part = answer["interval"] if name in ("lower", "upper") else answer["data"]
    return float(part[name])


def differs(one: Answer, other: Answer) -> bool:
    ends = [{name: each["interval"][name] for name in ("lower", "upper")} for each in (one, other)]
    return bool(one["data"] != other["data"] or ends[0] != ends[1])


def rules(answer: Answer) -> set[tuple[str, str]]:
    return {(each["rule"], each["level"]) for each in answer["safety"]["violations"]}


async def asked_all(house: House, asked: Sequence[Body]) -> list[Answer]:
    """Ask one after another: rows of one batch have the same past."""
    return [(await house.ask(body))[0] for body in asked]


def check_foretold(found: ImpactShown, before: list[Answer], after: list[Answer]) -> None:
    """Hold the report against what was answered under the version itself."""
    report = found.report
    assert report is not None
    assert (found.state, report.left_out) == ("done", []), found
    pairs = list(zip(before, after, strict=True))
    assert report.whole
    assert (report.recorded, report.replayed) == (len(pairs), len(pairs))
    tail = report.families["tail"]
    assert tail.changed.rows == sum(differs(*pair) for pair in pairs)
    numbers = {*before[0]["data"], "lower", "upper"} - {"action"}
    for name in numbers:
        sizes = list(moved(before, after, name))
        assert (name in tail.fields) is bool(sizes), name
        if sizes:
            field = tail.fields[name]
            assert field.changed.rows == len(sizes), name
            assert field.largest == pytest.approx(max(sizes))
            assert field.median == pytest.approx(statistics.median_low(sizes))
    flips = [
        (one["data"]["action"], other["data"]["action"])
        for one, other in pairs
        if one["data"]["action"] != other["data"]["action"]
    ]
    assert {
        (each.before, each.after): each.count.rows for each in tail.flips if each.field == "action"
    } == {flip: flips.count(flip) for flip in flips}
    assert report.flipped.rows == len(flips)
    rungs = [(one["meta"]["rung"], other["meta"]["rung"]) for one, other in pairs]
    assert sum(each.count.rows for each in tail.flips if each.field == "rung") == sum(
        one != other for one, other in rungs
    )
    found_rules = {(each.rule, each.level): (each.new.rows, each.gone.rows) for each in tail.rules}
    for rule in {rule for answer in (*before, *after) for rule in rules(answer)}:
        new = sum(rule in rules(other) - rules(one) for one, other in pairs)
        gone = sum(rule in rules(one) - rules(other) for one, other in pairs)
        assert found_rules.get(rule, (0, 0)) == (new, gone), rule


async def test_what_is_foretold_of_a_policy_comes_true(house: House, replays: Replays) -> None:
    base = forgetful(house.document)
    await house.deploy(base)
    asked = bodies(60)
    before = await asked_all(house, asked)
    candidate = stricter(base)
    found = await replays.impact(await draft(house, candidate))
    await house.deploy(candidate)
    check_foretold(found, before, await asked_all(house, asked))
    assert found.report is not None
    tail = found.report.families["tail"]
    # The draft was made so that each of these happens.
    assert {"autoscale_workers", "p99_pred"} <= tail.fields.keys()
    assert {each.field for each in tail.flips} == {"action", "rung"}
    assert any(each.new.rows for each in tail.rules)
    example = tail.fields["autoscale_workers"].examples[0]
    by_id = {each["meta"]["decision_id"]: each for each in before}
    assert by_id[example.decision_id]["data"]["autoscale_workers"] == example.before
    assert (found.report.not_replayed, tail.asked_again) == ([], 0)


async def test_what_is_foretold_of_another_objective_comes_true(
    house: House, replays: Replays
) -> None:
    base = forgetful(house.document)
    await house.deploy(base)
    asked = bodies(60, seed=2)
    before = await asked_all(house, asked)
    candidate = document_with(base, slo_ms=25.0)
    found = await replays.impact(await draft(house, candidate))
    await house.deploy(candidate)
    check_foretold(found, before, await asked_all(house, asked))
    assert found.report is not None
    tail = found.report.families["tail"]
    assert tail.asked_again == sum("slo_ms" not in body for body in asked)
    assert any(each.field == "action" for each in tail.flips)


async def test_last_answers_are_those_that_were_given(house: House, replays: Replays) -> None:
    calm = {"entity": "order-gateway", "load": 0.3, "infra": 0.1, "error_rate": 0.0}
    pressed = calm | {"infra": 0.9}
    first, second = await asked_all(house, [calm, pressed])
    assert (first["meta"]["rung"], second["meta"]["rung"]) == ("model", "model")
    candidate = with_policy(house.document, "tail", forbidden=(PRESSED,))
    found = await replays.impact(await draft(house, candidate))
    assert found.report is not None
    assert (found.report.replayed, found.report.left_out) == (2, [])
    flips = found.report.families["tail"].flips
    assert ("rung", "model", "last_safe") in [
        (each.field, each.before, each.after) for each in flips
    ]
    p99 = found.report.families["tail"].fields["p99_pred"].examples
    moved_to = {each.decision_id: each.after for each in p99}
    assert moved_to[second["meta"]["decision_id"]] == first["data"]["p99_pred"]
    # What such a version answers comes out as it was recorded too.
    await house.deploy(candidate)
    third, fourth = await asked_all(house, [calm, pressed])
    assert (third["meta"]["rung"], fourth["meta"]["rung"]) == ("model", "last_safe")
    same = await replays.impact(await draft(house, candidate))
    assert same.report is not None
    assert (same.report.replayed, same.report.left_out) == (4, [])
    assert sorted(same.report.versions.values()) == [2, 2]


async def test_an_override_holds_under_every_version(
    house: House, replays: Replays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "EXAMPLES", 10_000)
    body = {"entity": "order-gateway", "load": 0.3, "infra": 0.9}
    async with house.client(Role.ADMIN) as client:
        put = {
            "family": "tail",
            "entity": "order-gateway",
            "field": "p99_pred",
            "value": 41.5,
            "reason": "a drill",
            "expires_at": time.time() + 600,
        }
        assert (await client.post("/safety/override", json=put)).status_code < 300
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await house.ask(body))[0]["data"]["p99_pred"] != 41.5:  # noqa: ASYNC110 - a replica tells nobody
            await asyncio.sleep(0.02)
    await replays.archive()
    rows = [row for row in await house.ledger() if "overrides" in row]
    assert [list(row["overrides"]) for row in rows] == [["p99_pred"]]
    assert rows[0]["withheld"].keys() == {"p99_pred"}
    found = await replays.impact(await draft(house, stricter(forgetful(house.document))))
    assert found.report is not None
    assert found.report.left_out == []
    ids = [each.decision_id for each in found.report.families["tail"].fields["p50_pred"].examples]
    assert rows[0]["decision_id"] in ids
    p99 = found.report.families["tail"].fields.get("p99_pred")
    changed = [] if p99 is None else [each.decision_id for each in p99.examples]
    assert rows[0]["decision_id"] not in changed


@pytest.mark.usefixtures("challenger")
async def test_another_model_is_asked_and_one_that_is_not_there_is_said(
    house: House, replays: Replays
) -> None:
    asked = bodies(12)
    await asked_all(house, asked)
    other = await replays.impact(
        await draft(house, document_with(house.document, alias=CHALLENGER))
    )
    assert other.report is not None
    assert other.report.families["tail"].asked_again == 12
    assert (other.report.changed.rows, other.report.left_out) == (0, [])  # it is the same model
    none = await replays.impact(await draft(house, document_with(house.document, alias="nobody")))
    assert none.report is not None
    assert none.report.replayed == 0
    (left_out,) = none.report.left_out
    assert (left_out.family, left_out.rows) == ("tail", 12)
    assert left_out.reason == "no version of tail/xgboost-quantile is its nobody"


class Seen:
    """What the safety stage is given, batch by batch."""

    def __init__(self, house: House, patch: pytest.MonkeyPatch) -> None:
        self.batches: list[Batch] = []
        (safety,) = house.replicas["safety"]
        judge = safety.judge

        def note(batch: Batch, judge_: Any) -> Any:
            self.batches.append(batch)
            return judge(batch, judge_)

        patch.setattr(safety, "judge", note)


async def test_every_family_comes_out_as_it_was_recorded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(house, monkeypatch)
    said: dict[str, dict[str, float]] = {}
    async with house.client() as client:
        for path, body in EVERY_FAMILY:
            answer = (await client.post(path, json=body)).json()
            batch = seen.batches[-1]
            columns = {name: float(column[0]) for name, column in batch.columns.items()}
            said[answer["meta"]["decision_id"]] = columns
    rows = {row["decision_id"]: row for row in await house.ledger()}
    assert {row["family"] for row in rows.values()} >= FAMILIES.keys() - {
        "bandit-feedback",
        "bandit-evaluate",
    }
    version = await ConfigStore(house.redis).active()
    own = Rules(version)
    for decision_id, columns in said.items():
        recorded = read(orjson.dumps(rows[decision_id]))
        judge = own.judge(recorded.family)
        left = answered(recorded, judge.policy)
        found = model_said(recorded, left, judge.checker)
        for name, value in (found or {}).items():
            assert value == columns[name], (recorded.family.name, name)
    playing = Playing(own, {version.number: own}, AskedAgain(Path("nowhere")))
    texts = [orjson.dumps(row).decode() for row in rows.values()]
    for outcome in playing.play(texts, dict.fromkeys(rows)):
        assert "left_out" not in outcome, outcome
        assert (outcome["changes"], outcome["flips"]) == ([], []), outcome
        assert (outcome["new"], outcome["gone"]) == ([], []), outcome
