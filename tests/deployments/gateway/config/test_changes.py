"""Versions at the api: patched, drafted, validated, approved and withdrawn."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from config_store.pinning import pinned
from config_store.shipped import default_document
from config_store.steering.commands import Actor, Command, Deploy
from config_store.steering.state import Stage, SteeringState, Strategy
from tests.deployments.gateway.config.versions import (
    ADMIN,
    APPROVER,
    SLO,
    drafted,
    error,
    needing_approval,
)
from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.redis_server import RedisServer


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
