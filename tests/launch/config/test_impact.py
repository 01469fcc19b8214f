"""`ballast config impact` against the gateway's own app, and replays over a real archive."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from config_store.pinning import pinned
from config_store.shipped import default_document
from deployments.api.impact import ImpactShown
from deployments.gateway.routes import config_impact
from deployments.history.impact_jobs import ImpactJobs
from deployments.history.questions import Questions
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.archive import Archive
from observability.schema import create_tables
from settings.environment import Settings
from tests.deploying import drafted
from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.deployments.impact.decisions import drawn, stricter, version_of
from tests.launch.config.commanding import invoke, said
from tests.observability.ledger.chains import first_entry
from tests.redis_server import RedisServer

ROWS = 120


@pytest.fixture
async def api(
    redis_server: RedisServer,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[ConfigApi]:
    """Open a gateway over an archive of an hour ago, and a draft that answers otherwise."""
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)
        async with redis_server.patient_client() as redis, config_api(redis, tmp_path) as api:
            settings.home.mkdir(parents=True, exist_ok=True)
            first = pinned(default_document(), tmp_path)  # as the gateway has it
            strict = stricter(first, 20.0, 0.9)
            await drafted(redis, strict)
            begun = api.clock.now - 3600
            found = drawn(ROWS, seed=3, version=version_of(first, 1), begun=begun)
            Archive(store).add([first_entry(found.decisions, int(begun * 1000))])
            jobs = ImpactJobs(redis, store, tmp_path)
            answers: dict[object, Any] = {
                Questions.begin_impact: jobs.begin,
                Questions.impact: jobs.get,
                Questions.cancel_impact: jobs.cancel,
            }

            async def ask(question: object, *args: Any) -> Any:
                return await answers[question](*args)

            monkeypatch.setattr(config_impact, "ask", ask)
            yield api
            await jobs.close()


async def test_a_draft_is_replayed_and_told_and_told_again(api: ConfigApi) -> None:
    none_yet = await invoke(api, "impact", "2", "--last")
    assert none_yet.exit_code == 1
    assert "`ballast config impact 2` begins it" in said(none_yet)
    found = await invoke(api, "impact", "2")
    assert found.exit_code == 0, found.output
    text = said(found)
    assert f"{ROWS} decisions, {ROWS} read, {ROWS} replayed" in text
    assert "every decision of that time was read" in text
    kept = await api.get("/config/versions/2/impact")
    report = kept["report"]
    assert kept["asked_by"] == "adam"
    assert f"answers {report['changed']['rows']} (" in text
    workers = report["families"]["tail"]["fields"]["autoscale_workers"]
    assert f"by {workers['median']:.4g} (median), {workers['p95']:.4g} (p95)" in text
    example = workers["examples"][0]
    assert f"{example['decision_id']}: {example['before']} -> {example['after']}" in text
    flip = next(each for each in report["families"]["tail"]["flips"] if each["field"] == "action")
    assert f"action: {flip['before']} -> {flip['after']}: {flip['count']['rows']} (" in text
    assert "too-sure (unsafe) is newly broken by" in text
    again = await invoke(api, "impact", "2", "--last")
    assert again.output.strip() in found.output
    sampled = said(await invoke(api, "impact", "2", "--rows", "40", "--hours", "2"))
    assert f"{ROWS} decisions, 40 read, 40 replayed" in sampled
    assert "a simple random sample" in sampled
    assert "answers about" in sampled


async def test_who_approves_sees_the_last_impact_first(api: ConfigApi) -> None:
    # Without a terminal, and without --yes, it ends where it would ask.
    unknown = said(await invoke(api, "approve", "2"))
    assert "no decisions were replayed under it. `ballast config impact 2` replays" in unknown
    assert "Nothing was changed" in unknown
    assert (await invoke(api, "impact", "2")).exit_code == 0
    replayed = await invoke(api, "impact", "2", "--last")
    shown = await invoke(api, "approve", "2")
    assert "Its impact, by the replay that adam asked for at " in shown.output
    for line in replayed.output.splitlines():
        if line and not line.startswith("Replaying decisions"):  # how far it was, not what it found
            assert f"  {line}\n" in shown.output
    assert shown.output.index("Its impact") > shown.output.index("which is in force, it changes:")
    kept = await api.get("/config/versions/2/impact")
    for state, words in (
        ("failed", "the last replay failed (no room). `ballast config impact 2` replays"),
        ("running", "It goes on: `ballast config impact 2 --last` shows what it finds."),
    ):
        other = kept | {"state": state, "report": None, "reason": "no room"}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(config_impact, "ask", answering(ImpactShown.model_validate(other)))
            assert words in said(await invoke(api, "approve", "2"))


def answering(job: ImpactShown) -> Callable[..., Awaitable[ImpactShown]]:
    async def ask(*_: object) -> ImpactShown:
        return job

    return ask


async def test_what_it_cannot_be_asked_for_is_said(api: ConfigApi) -> None:
    missing = await invoke(api, "impact", "9")
    assert missing.exit_code == 1
    assert "`ballast config history` lists those that exist" in said(missing)
    nothing = said(await invoke(api, "impact", "2", "--hours", "0.1"))
    assert "0 decisions, 0 read, 0 replayed" in nothing
    assert (await invoke(api, "impact", "2", "--cancel")).exit_code == 0
    assert (await invoke(api, "impact", "2", "--last")).exit_code == 1
    viewer = await api.ask("POST", "/config/versions/2/impact", who="vera:viewer")
    assert viewer.status_code == 403
