"""Rollouts at the api: begun, advanced, aborted, rolled back; locks and freezes."""

import asyncio
from pathlib import Path

import pytest

from config_store.alias_follower import BY, settled
from config_store.steering.commands import Advance, Deploy
from config_store.steering.state import SteeringState, Strategy
from config_store.steering.store import SteeringStore
from deployments.gateway.config import changes as config_changes
from tests.deployments.gateway.config.versions import ADMIN, SLO, TAIL, crown, drafted, error
from tests.deployments.gateway.config_api import ConfigApi
from tests.waiting import until


async def test_a_rollout_is_begun_followed_advanced_and_aborted(api: ConfigApi) -> None:
    drafted = await api.ask("POST", "/config/versions", {"patch": SLO, "message": "m"})
    await api.ask("POST", f"/config/versions/{drafted.json()['version']}/validate")
    canary = {
        "version": 2,
        "strategy": "canary",
        "id": "mine",
        "shares": [0.5, 1.0],
        "settings": {"evidence": False, "lead_seconds": 0},
    }
    refused = error(await api.ask("POST", "/config/deploy", canary), 403)
    assert "steps end without evidence" in refused["message"]
    begun = (await api.ask("POST", "/config/deploy", canary, "adam:admin")).json()
    assert (begun["active"], begun["rollout"]["candidate"], begun["share"]) == (1, 2, 0.5)
    assert begun["rollout"]["weakened"] == ["steps end without evidence"]
    again = await api.ask("POST", "/config/deploy", canary, "adam:admin")
    assert again.json()["rollout"] == begun["rollout"]
    other = await api.ask("PUT", "/config", {"quotas": {"default": {"streams": 5}}})
    assert other.status_code == 202
    assert "goes on" in other.json()["pending"]
    where = await api.get("/config/steering")
    assert where["state"] == "rollout"
    assert "rollout mine of version 2 is at step 1 of 2" in " ".join(where["meaning"])
    step = {"id": "mine", "step": 0}
    assert (await api.ask("POST", "/config/rollout/advance", step)).json()["share"] == 1.0
    error(await api.ask("POST", "/config/rollout/advance", step), 409)
    aborted = (await api.ask("POST", "/config/rollout/abort", {"reason": "the p99 rose"})).json()
    assert (aborted["active"], aborted["rollout"], aborted["share"]) == (1, None, 0.0)
    assert (aborted["last"]["outcome"], aborted["last"]["note"]) == ("aborted", "the p99 rose")
    nothing = error(await api.ask("POST", "/config/rollout/abort"), 409)
    assert "/config/rollback" in nothing["message"]


async def test_a_deploy_waits_for_a_model_that_is_on_its_way_and_is_not_refused(
    api: ConfigApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    for patch in (SLO, {"serving": {"tail": {"slo_ms": 95}}}):
        drafted = await api.ask("POST", "/config/versions", {"patch": patch, "message": "m"})
        await api.ask("POST", f"/config/versions/{drafted.json()['version']}/validate")
    steering, looks = api.context.changes.steering, 0

    async def follower_is_quicker(steering: SteeringStore) -> SteeringState:
        """Look as the deploy does; just after its first look a model's version is on its way."""
        nonlocal looks
        looks += 1
        state = await settled(steering)
        if looks == 1:
            settings = state.settings.rollout.model_copy(update={"lead_seconds": 0.0})
            moved = Deploy(3, Strategy.BLUE_GREEN, "m3", 1, "", (0.0,), settings=settings)
            await steering.change(moved, BY, api.clock.wall())
        return state

    monkeypatch.setattr(config_changes, "settled", follower_is_quicker)
    wish = {"version": 2, "despite_branch": True}
    asked = asyncio.create_task(api.ask("POST", "/config/deploy", wish))
    await until(lambda: looks == 2)
    assert not asked.done()
    await steering.change(Advance("m3", 0), BY, api.clock.wall())
    assert (await asked).json()["active"] == 2
    assert looks == 2


async def test_a_draft_that_a_model_overtook_is_drafted_anew_on_top_of_it(
    api: ConfigApi, tmp_path: Path
) -> None:
    crown(tmp_path, "1.0.0")
    await api.patched({"quotas": {"default": {"streams": 7}}})
    number = await drafted(api, 90)
    await api.ask("POST", f"/config/versions/{number}/validate")
    digest = crown(tmp_path, "1.1.0")
    moved = await api.patched({"models": {TAIL: None}})
    refused = error(await api.ask("POST", "/config/deploy", {"version": number}), 409)
    assert f"POST /config/versions/{number}/rebase drafts it anew" in refused["message"]
    path = f"/config/versions/{number}/rebase"
    error(await api.ask("POST", path, who="clive:client"), 403)
    made = (await api.ask("POST", path, who="otto:operator")).json()
    life = made["life"]
    assert (made["author"], life["stage"], life["parent"]) == ("otto", "draft", moved["version"])
    assert made["reason"] == f"m (version {number} by olga, on top of {moved['version']})"
    assert life["approvals"] == []
    diff = await api.get("/config/diff", **{"from": moved["version"], "to": made["version"]})
    assert [each["path"] for each in diff["differences"]] == ["serving.tail.slo_ms"]
    assert made["document"]["models"][TAIL]["digest"] == digest
    early = await api.ask("POST", "/config/deploy", {"version": made["version"]})
    assert "is draft" in error(early, 409)["message"]
    await api.ask("POST", f"/config/versions/{made['version']}/validate")
    deployed = await api.ask("POST", "/config/deploy", {"version": made["version"]})
    assert deployed.json()["active"] == made["version"]
    # The draft before it stays what it was, and has nothing any more that the active one lacks.
    assert (await api.get(f"/config/versions/{number}"))["life"]["stage"] == "approved"
    assert "nothing to draft" in error(await api.ask("POST", path), 409)["message"]


async def test_who_wrote_a_draft_does_not_approve_it_once_another_rebased_it(
    api: ConfigApi,
) -> None:
    number = await drafted(api, 90)
    await api.patched({"quotas": {"default": {"streams": 7}}})
    await api.ask("PUT", "/config/settings", {"approvals_needed": 1}, "adam:admin")
    made = await api.ask("POST", f"/config/versions/{number}/rebase", who="otto:operator")
    version, config_hash = made.json()["version"], made.json()["config_hash"]
    assert made.json()["life"]["co_authors"] == ["olga"]
    path = f"/config/versions/{version}"
    checked = (await api.ask("POST", f"{path}/validate")).json()["life"]
    assert "somebody else than its authors otto and olga reads it" in checked["next"]
    for who in ("olga:approver", "otto:approver"):
        refused = await api.ask("POST", f"{path}/approve", {"config_hash": config_hash}, who)
        assert "You wrote some of version" in error(refused, 409)["message"]
    body = {"config_hash": config_hash}
    assert (await api.ask("POST", f"{path}/approve", body, "alba:approver")).is_success
    deployed = await api.ask("POST", "/config/deploy", {"version": version})
    assert deployed.json()["active"] == version
    summaries = {each["version"]: each["life"] for each in await api.get("/config/versions")}
    assert summaries[version]["co_authors"] == ["olga"]
    assert summaries[number]["co_authors"] == []


async def test_what_both_changed_is_named_and_nothing_is_drafted(api: ConfigApi) -> None:
    number = await drafted(api, 90)
    await api.patched({"serving": {"tail": {"slo_ms": 95}}})
    path = f"/config/versions/{number}/rebase"
    said = error(await api.ask("POST", path), 409)["message"]
    assert "both changed these places since version 1: serving.tail.slo_ms." in said
    assert len(await api.get("/config/versions")) == 3
    error(await api.ask("POST", "/config/versions/99/rebase"), 409)
    await api.ask("POST", f"/config/versions/{number}/withdraw")
    assert "was withdrawn" in error(await api.ask("POST", path), 404)["message"]


async def test_a_rolling_rollout_has_a_step_for_each_replica(api: ConfigApi) -> None:
    for name in ("tail-1", "tail-2", "tail-3", "safety-1"):
        await api.running.report(name, name.partition("-")[0], 1, "x")
    drafted = await api.ask("POST", "/config/versions", {"patch": SLO, "message": "m"})
    await api.ask("POST", f"/config/versions/{drafted.json()['version']}/validate")
    begun = await api.ask("POST", "/config/deploy", {"version": 2, "strategy": "rolling"})
    assert begun.json()["rollout"]["shares"] == pytest.approx([1 / 3, 2 / 3, 1])


async def test_a_rollback_brings_the_version_before_back(api: ConfigApi) -> None:
    await api.patched(SLO)
    stale = await api.ask("POST", "/config/rollback", {"after": 1, "reason": "r"})
    assert "active by now" in error(stale, 409)["message"]
    back = (await api.ask("POST", "/config/rollback", {"after": 2, "reason": "r"})).json()
    assert back["active"] == 1
    await api.follows(1)
    lives = {each["version"]: each["life"] for each in await api.get("/config/versions")}
    assert (lives[2]["stage"], lives[1]["stage"]) == ("rolled_back", "active")
    error(await api.ask("POST", "/config/rollback"), 409)


async def test_a_lock_keeps_others_out_and_an_admin_takes_it_away(api: ConfigApi) -> None:
    held = (await api.ask("PUT", "/config/lock", {"reason": "a policy", "seconds": 60})).json()
    assert (held["lock"]["by"], held["lock"]["reason"]) == ("olga", "a policy")
    other = await api.ask("PUT", "/config", SLO, "otto:operator")
    assert "olga has the lock" in error(other, 409)["message"]
    error(await api.ask("DELETE", "/config/lock", who="otto:operator"), 409)
    assert (await api.ask("PUT", "/config", SLO)).status_code == 200
    assert (await api.ask("DELETE", "/config/lock", who=ADMIN)).json()["lock"] is None


async def test_a_freeze_holds_deploys_and_lets_rollbacks_through(api: ConfigApi) -> None:
    await api.patched(SLO)
    now = api.clock.now
    freeze = {"reason": "the close", "to": now + 60}
    error(await api.ask("POST", "/config/freezes", freeze), 403)
    frozen = (await api.ask("POST", "/config/freezes", freeze, ADMIN)).json()["freezes"]
    assert [(each["reason"], each["holds"]) for each in frozen] == [("the close", True)]
    pending = await api.patched({"quotas": {"default": {"streams": 5}}})
    assert "freeze" in pending["pending"]
    assert (await api.ask("POST", "/config/rollback")).json()["active"] == 1
    path = f"/config/freezes/{frozen[0]['id']}"
    assert (await api.ask("DELETE", path, who=ADMIN)).json()["freezes"] == []
    error(await api.ask("DELETE", path, who=ADMIN), 409)
    error(await api.ask("POST", "/config/freezes", {"reason": "r", "to": now - 1}, ADMIN), 409)
