"""Versions at the api: patched, drafted, validated, approved, deployed, and taken back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from config_store.alias_follower import BY, settled
from config_store.pinning import pinned
from config_store.shipped import default_document
from config_store.steering.commands import Actor, Advance, Command, Deploy
from config_store.steering.state import Stage, SteeringState, Strategy
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from deployments.gateway.config import changes as config_changes
from models.digest import digest_of
from models.model_version import ModelVersion
from models.pointer import keep_record, write_pointer
from models.registry import CHAMPION
from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.deployments.house import NOW
from tests.redis_server import RedisServer
from tests.waiting import until

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
    shown = await api.get("/config")
    assert shown["document"]["serving"]["tail"]["slo_ms"] == 90
    assert shown["life"] == made["life"]
    # The same, without history.
    assert await api.get("/config/active") == shown | {"history": [2, 1]}
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


# As the contract has it.
OLDER = {"signal_filter": {"use_ml_model": True}, "model": {"signal_filter_version": "v1.0.0"}}


async def test_an_older_clients_patch_is_told_from_one_that_is_wrong(api: ConfigApi) -> None:
    draft = {"patch": OLDER, "message": "m"}
    for method, path, body in (("PUT", "/config", OLDER), ("POST", "/config/versions", draft)):
        said = error(await api.ask(method, path, body), 501)
        assert said["code"] == "not_served"
        assert said["fields"].keys() == {
            "signal_filter.use_ml_model",
            "model.signal_filter_version",
        }
        assert all("market signals" in why for why in said["fields"].values())
    # Nor is what it says beside them done by halves.
    error(await api.ask("PUT", "/config", OLDER | SLO), 501)
    assert len(await api.get("/config/versions")) == 1
    error(await api.ask("PUT", "/config", {"signal_filters": {"use_ml_model": True}}), 422)


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


NEEDLESS = {
    "name": "loose-canary",
    "field": "canary_percentage",
    "high": 20,
    "level": "unsafe",
    "message": "A tenth is the most anyway.",
}
SHADOWED = "shadowed bandit loose-canary"


async def test_what_was_found_in_a_policy_is_approved_by_name(api: ConfigApi) -> None:
    policy = (await api.get("/safety/policy"))["policy"]
    policy["families"]["bandit"]["ranges"].append(NEEDLESS)
    made = await api.ask("PUT", "/safety/policy", {"policy": policy, "message": "a limit"})
    number, content = made.json()["version"], made.json()["config_hash"]
    path = f"/config/versions/{number}"
    checked = (await api.ask("POST", f"{path}/validate")).json()
    assert checked["good"], checked
    (found,) = checked["findings"]
    assert (found["kind"], found["grade"], found["rule"]) == ("shadowed", "warned", "loose-canary")
    life = checked["life"]
    assert (life["stage"], life["findings"]) == ("validating", [SHADOWED])
    assert SHADOWED in life["next"]
    deploy = {"version": number}
    assert SHADOWED in error(await api.ask("POST", "/config/deploy", deploy), 409)["message"]
    body: dict[str, Any] = {"config_hash": content}
    for names in ([], ["something else"]):
        silent = await api.ask("POST", f"{path}/approve", body | {"acknowledged": names}, APPROVER)
        assert SHADOWED in error(silent, 409)["message"]
    body["acknowledged"] = [SHADOWED]
    # No approval is needed here, so the author may be who says that it was seen.
    approved = (await api.ask("POST", f"{path}/approve", body, "olga:approver")).json()
    assert approved["life"]["stage"] == "approved"
    assert approved["life"]["approvals"][0]["acknowledged"] == [SHADOWED]
    assert (await api.ask("POST", "/config/deploy", deploy)).json()["active"] == number


async def test_a_patch_that_lets_more_through_waits_for_an_approver(api: ConfigApi) -> None:
    looser = {"safety": {"families": {"bandit": {"responses": {"unsafe": "keep"}}}}}
    found = await api.ask("PUT", "/config", looser)
    assert (found.status_code, found.json()["deployed"]) == (202, False), found.text
    assert "lets_through bandit" in found.json()["pending"]
    assert (await api.get("/config"))["version"] == 1
    # What does not touch the policy is not in its way.
    assert (await api.patched(SLO))["deployed"]


async def test_a_policy_that_loses_the_emergency_rules_waits_for_an_approver(
    api: ConfigApi,
) -> None:
    policy = (await api.get("/safety/policy"))["policy"]
    del policy["emergency"]
    made = await api.ask("PUT", "/safety/policy", {"policy": policy, "message": "families"})
    number = made.json()["version"]
    checked = (await api.ask("POST", f"/config/versions/{number}/validate")).json()
    assert checked["good"], checked
    assert [each["rule"] for each in checked["findings"]] == ["emergency.critical"]
    lost = "lets_through emergency.critical"
    assert checked["life"]["findings"] == [lost]
    assert (
        lost in error(await api.ask("POST", "/config/deploy", {"version": number}), 409)["message"]
    )
    # The same by a patch.
    patched = await api.patched({"safety": {"emergency": None}})
    assert (patched["deployed"], lost in patched["pending"]) == (False, True)


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


async def drafted(api: ConfigApi, slo: int, who: str = "olga:operator") -> int:
    body = {"patch": {"serving": {"tail": {"slo_ms": slo}}}, "message": "m"}
    made = await api.ask("POST", "/config/versions", body, who)
    assert made.status_code == 201, made.text
    number: int = made.json()["version"]
    return number


async def test_drafts_have_an_end_and_withdrawing_one_makes_room(api: ConfigApi) -> None:
    few = {"drafts_per_author": 2, "drafts_at_most": 3}
    assert (await api.ask("PUT", "/config/settings", few, ADMIN)).status_code == 200
    numbers = [await drafted(api, slo) for slo in (80, 81)]
    body = {"patch": SLO, "message": "m"}
    for path, asked in (("/config/versions", body), ("/config", SLO)):
        full = await api.ask("POST" if asked is body else "PUT", path, asked)
        said = error(full, 429)["message"]
        assert "olga has 2 versions that were never deployed" in said
        assert "`ballast config withdraw 2 3`" in said
        assert int(full.headers["retry-after"]) > 0
    numbers.append(await drafted(api, 82, "otto:operator"))
    said = error(await api.ask("POST", "/config/versions", body, ADMIN), 429)["message"]
    assert "There are 3 versions that were never deployed" in said
    path = f"/config/versions/{numbers[0]}/withdraw"
    error(await api.ask("POST", path, {"reason": "r"}, "clive:client"), 403)
    gone = await api.ask("POST", path, {"reason": "r"}, "otto:operator")
    assert (gone.status_code, gone.json()["life"]["stage"]) == (200, "withdrawn")
    assert "draft it anew" in gone.json()["life"]["next"]
    assert (await api.get("/config/steering"))["drafts"] == [numbers[2], numbers[1]]
    assert await drafted(api, 83) == numbers[2] + 1
    deploy = await api.ask("POST", "/config/deploy", {"version": numbers[0]})
    assert "is withdrawn" in error(deploy, 409)["message"]
    assert (
        "never deployed"
        in error(await api.ask("POST", "/config/versions/1/withdraw"), 409)["message"]
    )
    # Its document is gone; who wrote it, what for, and its hash are not.
    path = f"/config/versions/{numbers[0]}"
    said = error(await api.ask("GET", path), 404)["message"]
    assert f"Version {numbers[0]} was withdrawn" in said
    assert "draft anew" in error(await api.ask("POST", f"{path}/validate"), 404)["message"]
    (listed,) = [
        each for each in await api.get("/config/versions") if each["version"] == numbers[0]
    ]
    assert (listed["author"], listed["reason"], listed["unreadable"]) == ("olga", "m", "")
    assert (listed["life"]["stage"], len(listed["config_hash"])) == ("withdrawn", 64)


async def test_patches_that_were_made_in_vain_leave_no_drafts(api: ConfigApi) -> None:
    changes, tried = api.context.changes, list[int]()
    command = changes.command

    async def overtaken(asked: Command, by: Actor) -> SteeringState:
        """Let another version become active just before the first deploy."""
        if isinstance(asked, Deploy) and not tried:
            tried.append(asked.number)
            number = await drafted(api, 77, ADMIN)
            await changes.validate(number, by)
            await command(Deploy(number, Strategy.BLUE_GREEN, "first", 1), by)
        found: SteeringState = await command(asked, by)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "command", overtaken)
        made = await api.patched({"quotas": {"default": {"streams": 7}}})
    state = await changes.steering.read()
    assert (made["deployed"], state.active, made["version"]) == (True, 4, 4)
    assert state.versions[tried[0]].stage is Stage.WITHDRAWN
    assert (await api.get("/config/steering"))["drafts"] == []


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
    shown = await api.get("/config")
    assert (shown["version"], shown["life"]["stage"]) == (1, "active")


async def test_a_version_of_thousands_of_digits_is_the_clients_mistake(api: ConfigApi) -> None:
    pin = {"version": "9" * 5000 + ".0.0"}
    body = {"message": "m", "patch": {"models": {"tail/xgboost-quantile": pin}}}
    said = error(await api.ask("POST", "/config/versions", body), 422)
    assert "version" in next(iter(said["fields"]))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/config"),
        ("POST", "/config/versions"),
        ("PUT", "/safety/policy"),
        ("POST", "/safety/policy/check"),
    ],
)
async def test_a_client_that_leaves_its_body_unfinished_is_no_fault_of_the_platform(
    api: ConfigApi, method: str, path: str
) -> None:
    messages = [{"type": "http.request", "body": b"{", "more_body": True}]
    said: list[Any] = []

    async def receive() -> Any:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        said.append(message)

    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "query_string": b""}
    scope["headers"] = [(b"x-api-key", b"olga:operator"), (b"content-type", b"application/json")]
    await api.app(scope, receive, send)
    assert (said[0]["status"], said[1]["body"]) == (499, b"")


async def test_two_who_set_settings_at_once_both_have_theirs(
    api: ConfigApi, redis_server: RedisServer, tmp_path: Path
) -> None:
    async with (
        redis_server.patient_client() as redis,
        config_api(redis, tmp_path) as other,
    ):
        for _ in range(10):
            both = {"approvals_needed": 0, "warm": 3}
            await api.ask("PUT", "/config/settings", both, ADMIN)
            found = await asyncio.gather(
                api.ask("PUT", "/config/settings", {"approvals_needed": 2}, ADMIN),
                other.ask("PUT", "/config/settings", {"warm": 2}, "di:admin"),
            )
            assert [each.status_code for each in found] == [200, 200]
            settings = await api.get("/config/settings")
            assert (settings["approvals_needed"], settings["warm"]) == (2, 2)
