"""What a rollout's verdicts rest on, by HTTP: certificates as they were written, and the looks."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from config_store.certificates.certificate import Certificate
from config_store.certificates.progress import StepProgress
from config_store.certificates.store import CertificateStore
from deployments.gateway.routes import config_evidence
from tests.config_store.certificates.step import Step
from tests.config_store.certificates.test_progress import PLAN, points_of
from tests.deployments.gateway.config_api import ConfigApi, config_api

CERTIFICATE = f"/config/rollout/{PLAN.rollout}/certificate"
EVIDENCE = f"/config/rollout/{PLAN.rollout}/evidence"
VIEWER = "vera:viewer"


@pytest.fixture
async def api(redis: Redis, tmp_path: Path) -> AsyncIterator[ConfigApi]:
    async with config_api(redis, tmp_path) as api:
        yield api


@pytest.fixture
async def steps(redis: Redis) -> list[Certificate]:
    """Keep the certificates of a rollout of three steps."""
    kept: list[Certificate] = []
    for _ in range(3):
        before = kept[-1].hash if kept else ""
        certificate = Step.judged(paired=False, before=before).certificate
        await CertificateStore(redis).keep(certificate, [each.hash for each in kept])
        kept.append(certificate)
    return kept


def read(answer: dict[str, Any]) -> list[Certificate]:
    return [Certificate.model_validate(each) for each in answer["certificates"]]


async def test_a_rollouts_certificates_are_given_unchanged_and_in_their_order(
    api: ConfigApi, steps: list[Certificate]
) -> None:
    found = await api.get(CERTIFICATE)
    assert (found["rollout"], found["next"]) == (PLAN.rollout, None)
    assert read(found) == steps
    assert all(each.content_hash() == each.hash for each in read(found))


async def test_certificates_come_a_page_at_a_time(api: ConfigApi, steps: list[Certificate]) -> None:
    found = await api.get(CERTIFICATE, limit=2)
    assert (read(found), found["next"]) == (steps[:2], steps[1].hash)
    found = await api.get(CERTIFICATE, limit=2, after=found["next"])
    assert (read(found), found["next"]) == (steps[2:], None)
    for query in ("limit=21", "limit=0", "after=x"):
        assert (await api.ask("GET", f"{CERTIFICATE}?{query}", who=VIEWER)).status_code == 422
    refused = await api.ask("GET", f"{CERTIFICATE}?after={'0' * 64}", who=VIEWER)
    assert (refused.status_code, "There is no certificate 0000" in refused.text) == (404, True)


async def test_whether_a_step_is_judged_is_said(api: ConfigApi) -> None:
    body = {"patch": {"serving": {"tail": {"slo_ms": 90}}}, "message": "m"}
    await api.ask("POST", "/config/versions", body)
    await api.ask("POST", "/config/versions/2/validate")
    assert not (await api.get("/config/rollout"))["judged"]
    for strategy, judged in (("canary", True), ("rolling", False)):
        asked = {"version": 2, "strategy": strategy, "shares": [0.5, 1.0]}
        begun = await api.ask("POST", "/config/deploy", asked)
        assert begun.is_success, begun.text
        assert (begun.json()["judged"], begun.json()["rollout"]["strategy"]) == (judged, strategy)
        assert (await api.get("/config/rollout"))["judged"] is judged
        ended = await api.ask("POST", "/config/rollout/abort", {"reason": "a drill"})
        assert not ended.json()["judged"]


async def test_a_rollout_that_left_none_is_told_from_one_that_is_not_known(api: ConfigApi) -> None:
    refused = await api.ask("GET", CERTIFICATE, who=VIEWER)
    assert refused.status_code == 404
    assert "GET /timeline?kind=rollout_judged" in refused.json()["error"]["message"]
    body = {"patch": {"serving": {"tail": {"slo_ms": 90}}}, "message": "m"}
    await api.ask("POST", "/config/versions", body)
    await api.ask("POST", "/config/versions/2/validate")
    begun = await api.ask("POST", "/config/deploy", {"version": 2, "strategy": "canary", "id": "c"})
    assert begun.status_code == 200, begun.text
    found = await api.get("/config/rollout/c/certificate")
    assert found == {"rollout": "c", "certificates": [], "next": None}


async def test_a_certificate_that_was_removed_is_said_to_be_so(
    api: ConfigApi, redis: Redis, steps: list[Certificate]
) -> None:
    await redis.hdel("ballast:certificates", steps[1].hash)
    refused = await api.ask("GET", CERTIFICATE, who=VIEWER)
    assert (refused.status_code, steps[1].hash in refused.text) == (404, True)


async def test_the_looks_at_a_step_are_given_a_page_at_a_time(api: ConfigApi, redis: Redis) -> None:
    points = points_of(3)
    for point in points:
        await StepProgress(redis).keep(b"", point)
    shown = [orjson.loads(each.model_dump_json()) for each in points]
    found = await api.get(EVIDENCE, step=1, limit=2)
    assert (found["points"], found["next"]) == (shown[:2], 2)
    found = await api.get(EVIDENCE, step=1, limit=2, after=2)
    assert (found["points"], found["next"]) == (shown[2:], None)
    assert (await api.get(EVIDENCE, step=0))["points"] == []
    for query in ("", "step=1&limit=1001", "step=1&after=-1"):
        assert (await api.ask("GET", f"{EVIDENCE}?{query}", who=VIEWER)).status_code == 422


async def test_both_are_described_and_need_a_viewer(api: ConfigApi) -> None:
    page = api.app.openapi()
    for path, model in (("certificate", "CertificatesShown"), ("evidence", "EvidenceShown")):
        described = page["paths"][f"/config/rollout/{{id}}/{path}"]["get"]
        schema = described["responses"]["200"]["content"]["application/json"]["schema"]
        assert schema["$ref"].endswith(model)
    certificate = page["components"]["schemas"]["Certificate"]
    assert {"plan", "before", "looks", "verdict", "hash"} <= certificate["properties"].keys()


async def test_large_certificates_come_one_by_one(
    api: ConfigApi, steps: list[Certificate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_evidence, "MOST_BYTES", 1)
    found = list[Certificate]()
    after: str | None = ""
    for _ in steps:
        page = await api.get(CERTIFICATE, after=after, limit=20)
        assert len(page["certificates"]) == 1
        found += read(page)
        after = page["next"]
    assert (found, after) == (steps, None)


async def test_looks_that_another_release_kept_are_not_shown(api: ConfigApi, redis: Redis) -> None:
    await redis.rpush("ballast:config:evidence:points", b'{"of": "another release"}')
    assert (await api.get(EVIDENCE, step=1))["points"] == []
