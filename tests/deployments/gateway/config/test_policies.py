"""Safety policies at the api: proved, approved by name, refused."""

from typing import Any

from tests.deployments.gateway.config.versions import APPROVER, SLO, error
from tests.deployments.gateway.config_api import ConfigApi


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
