"""Versions at the api: patched, drafted, validated, approved, deployed, and taken back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from config_store.pinning import pinned
from config_store.shipped import default_document
from config_store.store import ConfigStore
from models.digest import digest_of
from models.model_version import ModelVersion
from models.pointer import keep_record, write_pointer
from models.registry import CHAMPION
from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.deployments.house import NOW
from tests.redis_server import RedisServer

SLO = {"serving": {"tail": {"slo_ms": 90}}}
ADMIN = "adam:admin"
APPROVER = "alba:approver"


@pytest.fixture
async def api(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[ConfigApi]:
    async with (
        redis_server.patient_client() as redis,
        config_api(redis, tmp_path) as api,
    ):
        yield api


def error(found: httpx.Response, status: int) -> Any:
    assert found.status_code == status, found.text
    return found.json()["error"]


async def needing_approval(api: ConfigApi) -> None:
    found = await api.ask("PUT", "/config/settings", {"approvals_needed": 1}, ADMIN)
    assert found.json()["approvals_needed"] == 1


async def test_a_patch_is_in_force_and_says_who_made_it(api: ConfigApi) -> None:
    made = await api.patched(SLO)
    assert (made["version"], made["changed"], made["deployed"]) == (2, True, True)
    assert (made["author"], made["life"]["parent"], made["life"]["stage"]) == ("olga", 1, "active")
    assert api.active().document.serving.tail.slo_ms == 90
    assert (await api.get("/config"))["document"]["serving"]["tail"]["slo_ms"] == 90
    diff = await api.get("/config/diff", **{"from": 1, "to": 2})
    before = default_document().serving.tail.slo_ms
    assert diff["differences"] == [
        {"path": "serving.tail.slo_ms", "kind": "changed", "before": before, "after": 90.0}
    ]
    listed = await api.get("/config/versions")
    assert [(each["version"], each["life"]["stage"]) for each in listed] == [
        (2, "active"),
        (1, "deprecated"),
    ]


async def test_null_brings_a_default_back_and_the_same_again_makes_nothing(
    api: ConfigApi, tmp_path: Path
) -> None:
    await api.patched({"quotas": {"default": {"streams": 7}}})
    made = await api.patched({"quotas": {"default": {"streams": None}}})
    assert made["version"] == 3
    assert api.active().document == pinned(default_document(), tmp_path)
    again = await api.patched({"quotas": {"default": {}}})
    assert (again["version"], again["changed"], again["deployed"]) == (3, False, True)
    assert len(await api.get("/config/versions")) == 3


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"serving": {"tail": {"slo_ms": -1}}}, "serving.tail.slo_ms"),
        ({"serving": {"capacity": {"model": "forecasting/tea-leaves"}}}, "serving.capacity.model"),
        ({"serving": {"tail": {"alias": "second"}}}, "serving.tail.alias"),
        ({"quotas": {"default": {"streams": 2**70}}}, "document"),
        ({"signal_filter": {"use_ml_model": True}}, "signal_filter.use_ml_model"),
        ({"model": {"signal_filter_version": "v1.0.0"}}, "model.signal_filter_version"),
        (
            {
                "sources": {
                    "named": {
                        "metrics": {
                            "kind": "remote_write",
                            "mapping": {
                                "entity": "job",
                                "metrics": {
                                    "cpu": {
                                        "kind": "gauge",
                                        "of": {
                                            "name": "cpu",
                                            "where": [{"label": "a", "op": "=~", "value": "("}],
                                        },
                                    }
                                },
                            },
                        }
                    }
                }
            },
            "sources.named.metrics.mapping: cpu{a}",
        ),
    ],
)
async def test_a_fault_is_refused_by_its_place_and_makes_no_version(
    api: ConfigApi, patch: Any, path: str
) -> None:
    refused = error(await api.ask("PUT", "/config", patch), 422)
    assert refused["fields"].keys() == {path}, refused
    assert len(await api.get("/config/versions")) == 1


async def test_a_policy_whose_fallback_breaks_it_is_refused(api: ConfigApi) -> None:
    crossed = [
        {"kind": "constant", "field": "lower", "value": 1},
        {"kind": "constant", "field": "upper", "value": 0},
    ]
    patch = {"safety": {"families": {"bandit-evaluate": {"fallback": crossed}}}}
    refused = error(await api.ask("PUT", "/config", patch), 422)
    (place,) = refused["fields"]
    assert place.startswith("safety.families.bandit-evaluate: ")
    assert len(await api.get("/config/versions")) == 1


async def test_a_policy_is_drafted_whole_and_proved_by_the_validation(api: ConfigApi) -> None:
    policy = (await api.get("/safety/policy"))["policy"]
    same = (await api.ask("PUT", "/safety/policy", {"policy": policy, "message": "m"})).json()
    assert same["config_hash"] == api.active().config_hash
    policy["families"]["bandit-evaluate"]["fallback"] = [
        {"kind": "constant", "field": "lower", "value": 1},
        {"kind": "constant", "field": "upper", "value": 0},
    ]
    made = await api.ask("PUT", "/safety/policy", {"policy": policy, "message": "crossed"})
    assert made.status_code == 201, made.text
    shown = made.json()
    assert (shown["reason"], shown["life"]["stage"], shown["life"]["parent"]) == (
        "crossed",
        "draft",
        1,
    )
    checked = (await api.ask("POST", f"/config/versions/{shown['version']}/validate")).json()
    assert not checked["good"]
    assert all(place.startswith("safety.families.bandit-evaluate") for place in checked["faults"])
    assert (await api.get("/safety/policy"))["config_version"] == 1


async def test_a_policy_without_a_family_that_is_served_is_refused(api: ConfigApi) -> None:
    policy = (await api.get("/safety/policy"))["policy"]
    del policy["families"]["tail"]
    body = {"policy": policy, "message": "m"}
    refused = error(await api.ask("PUT", "/safety/policy", body), 422)
    assert "tail" in str(refused["fields"])
    assert len(await api.get("/config/versions")) == 1


@pytest.mark.parametrize(
    "body", [b"[]", b"3", b"{", b'{"a": NaN}', b'{"x":' * 500 + b"1" + b"}" * 500]
)
async def test_what_is_no_patch_is_refused(api: ConfigApi, body: bytes) -> None:
    async with api.client() as client:
        error(await client.put("/config", content=body), 422)
    assert len(await api.get("/config/versions")) == 1


async def test_a_patch_for_a_version_that_is_not_active_any_more_is_a_conflict(
    api: ConfigApi,
) -> None:
    await api.patched(SLO)
    refused = error(
        await api.ask("PUT", "/config?base=1", {"serving": {"tail": {"slo_ms": 5}}}), 409
    )
    assert "Version 2 is active by now, and not 1" in refused["message"]
    assert (await api.ask("PUT", "/config?base=2", {"serving": {"tail": {"slo_ms": 5}}})).is_success


async def test_two_gateways_patch_at_once_and_no_patch_is_lost(
    api: ConfigApi, tmp_path: Path
) -> None:
    async with config_api(api.redis, tmp_path) as other:
        fields = ("streams", "experiments", "studies", "burst_seconds")
        patches = [{"quotas": {"default": {name: 11}}} for name in fields]
        found = await asyncio.gather(
            *(
                (api if at % 2 else other).ask("PUT", "/config", patch, f"o{at}:operator")
                for at, patch in enumerate(patches)
            )
        )
        assert [each.status_code for each in found] == [200] * len(patches)
    state = await api.context.changes.steering.read()
    document = (await api.configs.get(state.active)).document
    assert {getattr(document.quotas.default, name) for name in fields} == {11}


async def test_a_version_is_drafted_validated_approved_by_another_and_deployed(
    api: ConfigApi,
) -> None:
    await needing_approval(api)
    pending = await api.patched(SLO)
    assert (pending["deployed"], pending["life"]["stage"]) == (False, "validating")
    assert "0 of 1 approvals" in pending["pending"]
    drafted = await api.ask(
        "POST", "/config/versions", {"patch": SLO, "message": "tighter", "parent": 1}
    )
    assert (drafted.status_code, drafted.json()["life"]["stage"]) == (201, "draft")
    number, content = drafted.json()["version"], drafted.json()["config_hash"]
    deploy = {"version": number}
    assert "draft" in error(await api.ask("POST", "/config/deploy", deploy), 409)["message"]
    path = f"/config/versions/{number}"
    early = await api.ask("POST", f"{path}/approve", {"config_hash": content}, APPROVER)
    assert "validate it first" in error(early, 409)["message"]
    checked = (await api.ask("POST", f"{path}/validate")).json()
    assert (checked["good"], checked["faults"]) == (True, {})
    body = {"config_hash": content}
    error(await api.ask("POST", f"{path}/approve", body), 403)
    own = await api.ask("POST", f"{path}/approve", body, "olga:approver")
    assert "You wrote version" in error(own, 409)["message"]
    other = await api.ask("POST", f"{path}/approve", {"config_hash": "0" * 64}, APPROVER)
    assert "read it again" in error(other, 409)["message"]
    approved = (await api.ask("POST", f"{path}/approve", body, APPROVER)).json()
    assert approved["life"]["stage"] == "approved"
    assert [each["by"] for each in approved["life"]["approvals"]] == ["alba"]
    deployed = (await api.ask("POST", "/config/deploy", deploy)).json()
    assert (deployed["active"], deployed["rollout"]) == (number, None)
    await api.follows(number)


async def test_a_draft_is_a_document_or_a_patch_and_names_its_faults(api: ConfigApi) -> None:
    whole = (await api.get("/config"))["document"]
    whole["serving"]["tail"]["slo_ms"] = 80
    drafted = await api.ask("POST", "/config/versions", {"document": whole, "message": "all"})
    assert drafted.json()["document"]["serving"]["tail"]["slo_ms"] == 80
    for body, field in (
        ({"message": "none"}, "body"),
        ({"message": "both", "document": whole, "patch": {}}, "body"),
        ({"patch": {}}, "message"),
        ({"message": "m", "patch": {}, "more": 1}, "more"),
        ({"message": "m", "document": {}}, "serving"),
    ):
        assert field in error(await api.ask("POST", "/config/versions", body), 422)["fields"]
    unknown = {"message": "m", "patch": {}, "parent": 99}
    error(await api.ask("POST", "/config/versions", unknown), 404)


async def test_validation_names_what_would_fail_in_service(api: ConfigApi) -> None:
    patch = {"serving": {"tail": {"alias": "second"}}}
    drafted = await api.ask("POST", "/config/versions", {"patch": patch, "message": "m"})
    number = drafted.json()["version"]
    found = (await api.ask("POST", f"/config/versions/{number}/validate")).json()
    assert not found["good"]
    assert found["faults"].keys() == {"serving.tail.alias"}
    assert found["life"]["stage"] == "draft"
    assert "serving.tail.alias" in found["life"]["refusal"]
    error(await api.ask("POST", "/config/versions/99/validate"), 404)


TAIL = "tail/xgboost-quantile"


def crown(models: Path, version: str, alias: str = CHAMPION) -> str:
    """Make a version champion; give the digest of its files."""
    folder = models / "tail.xgboost-quantile" / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_text(version)
    digest = digest_of(folder)
    made = ModelVersion(TAIL, version, folder, datetime.now(UTC), digest=digest)
    keep_record(models, made)
    write_pointer(models, alias, made)
    return digest


async def test_an_alias_that_moves_moves_no_version(api: ConfigApi, tmp_path: Path) -> None:
    first = crown(tmp_path, "1.0.0")
    made = await api.patched(SLO)
    pin = {"version": "1.0.0", "digest": first, "alias": "champion"}
    assert made["release"]["models"] == made["document"]["models"] == {TAIL: pin}
    second = crown(tmp_path, "1.1.0")
    assert (await api.get("/config/versions/2"))["release"] == made["release"]
    # Nor does a patch of something else bring the new model along.
    other = await api.patched({"serving": {"tail": {"slo_ms": 91}}})
    assert other["release"]["models"] == {TAIL: pin}
    newer = await api.patched({"models": {TAIL: None}})
    assert newer["release"]["models"] == {TAIL: pin | {"version": "1.1.0", "digest": second}}
    assert newer["release"]["policy"] == made["release"]["policy"]
    assert newer["release"]["calibration"] != made["release"]["calibration"]
    back = await api.patched({"models": {TAIL: {"version": "1.0.0", "digest": None}}})
    assert back["document"] == other["document"]
    assert back["config_hash"] == other["config_hash"]


async def test_another_alias_pins_what_it_names(api: ConfigApi, tmp_path: Path) -> None:
    crown(tmp_path, "1.0.0")
    await api.patched(SLO)
    digest = crown(tmp_path, "2.0.0", "second")
    made = await api.patched({"serving": {"tail": {"alias": "second"}}})
    pin = {"version": "2.0.0", "digest": digest, "alias": "second"}
    assert made["document"]["models"] == {TAIL: pin}


async def test_a_whole_document_without_models_has_its_parents(
    api: ConfigApi, tmp_path: Path
) -> None:
    crown(tmp_path, "1.0.0")
    made = await api.patched(SLO)
    crown(tmp_path, "1.1.0")
    document = {name: each for name, each in made["document"].items() if name != "models"}
    drafted = await api.ask("POST", "/config/versions", {"document": document, "message": "m"})
    assert drafted.json()["config_hash"] == made["config_hash"]


async def test_a_pin_of_files_that_are_not_there_is_refused(api: ConfigApi, tmp_path: Path) -> None:
    crown(tmp_path, "1.0.0")
    await api.patched(SLO)
    patch = {"models": {TAIL: {"version": "7.0.0"}}}
    refused = error(await api.ask("PUT", "/config", patch), 422)
    assert refused["fields"].keys() == {f"models.{TAIL}"}
    (tmp_path / "tail.xgboost-quantile" / "1.0.0" / "weights").write_text("others")
    refused = error(await api.ask("PUT", "/config", {"quotas": {"default": {"streams": 5}}}), 422)
    assert "differ from those that the configuration pins" in refused["fields"][f"models.{TAIL}"]
    for bad in ("../1.0.0", "1.0", ""):
        patch = {"models": {TAIL: {"version": bad}}}
        error(await api.ask("PUT", "/config", patch), 422)
    assert (await api.get("/config"))["version"] == 2


async def test_a_version_of_an_earlier_release_pins_nothing(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    crown(tmp_path, "1.0.0")
    async with redis_server.patient_client() as redis:
        await ConfigStore(redis).bootstrap(default_document(), "ballast", "the first", NOW)
        async with config_api(redis, tmp_path) as api:
            old = await api.get("/config/versions/1")
            assert old["release"]["models"] is None
            assert old["config_hash"] == default_document().config_hash
            same = await api.patched({"quotas": {"default": {}}})
            assert (same["version"], same["changed"]) == (1, False)
            made = await api.patched(SLO)
            assert made["release"]["models"].keys() == {TAIL}


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
    begun = (await api.ask("POST", "/config/deploy", canary)).json()
    assert (begun["active"], begun["rollout"]["candidate"], begun["share"]) == (1, 2, 0.5)
    assert (await api.ask("POST", "/config/deploy", canary)).json()["rollout"] == begun["rollout"]
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


async def test_settings_that_are_left_out_stay(api: ConfigApi) -> None:
    found = await api.ask("PUT", "/config/settings", {"rollout": {"alpha": 0.05}}, ADMIN)
    found = await api.ask("PUT", "/config/settings", {"warm": 2}, ADMIN)
    assert (found.json()["rollout"]["alpha"], found.json()["warm"]) == (0.05, 2)
    bad = {"rollout": {"step_seconds": 1e9}}
    error(await api.ask("PUT", "/config/settings", bad, ADMIN), 422)
    assert await api.get("/config/settings") == found.json()


async def test_without_redis_nothing_is_changed_and_the_active_one_is_still_shown(
    api: ConfigApi, redis_server: RedisServer
) -> None:
    redis_server.kill()
    refused = error(await api.ask("PUT", "/config", SLO), 503)
    assert "GET /config/steering" in refused["message"]
    assert (await api.get("/config"))["version"] == 1


async def test_a_version_of_thousands_of_digits_is_the_clients_mistake(api: ConfigApi) -> None:
    pin = {"version": "9" * 5000 + ".0.0"}
    body = {"message": "m", "patch": {"models": {"tail/xgboost-quantile": pin}}}
    said = error(await api.ask("POST", "/config/versions", body), 422)
    assert "version" in next(iter(said["fields"]))
