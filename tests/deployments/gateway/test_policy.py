"""What a policy says, through the whole way of a request: refusals by a rule, and parameters."""

from typing import Any

from config_store.document import ConfigDocument
from tests.deployments.asking import post, refused
from tests.deployments.house import PATH, House

STUDIES = "/models/bayes-opt"
QUIET = {"entity": "order-gateway", "load": 0.5, "error_rate": 0.001}
FAILING = QUIET | {"error_rate": 0.5}
NO_ANSWER = {
    "name": "nobody-plans-in-a-fire",
    "when": {"left": "error_rate", "op": ">", "right": 0.2},
    "level": "critical",
    "repair": "refuse",
    "message": "Half of the requests fail: call a person.",
}
SPACE = {
    "threads": {"type": "int", "low": 8, "high": 64},
    "allocator": {"type": "categorical", "choices": ["glibc", "jemalloc"]},
}


def document_with(house: House, family: str, **limits: list[dict[str, Any]]) -> ConfigDocument:
    fields = house.document.model_dump(mode="json")
    policy = fields["safety"]["families"][family]
    for kind, added in limits.items():
        policy[kind] = [*policy.get(kind, ()), *added]
    return ConfigDocument.model_validate(fields)


async def test_a_refused_row_names_the_rule_in_its_place_and_the_others_are_answered(
    house: House,
) -> None:
    await house.deploy(document_with(house, "tail", forbidden=[NO_ANSWER]))
    first, second, third = await house.ask(QUIET, FAILING, QUIET)
    assert first["data"] == third["data"]
    assert second["error"]["code"] == "policy"
    assert "'nobody-plans-in-a-fire'" in second["error"]["message"]
    assert NO_ANSWER["message"] in second["error"]["message"]
    status, error = await refused(house, PATH, FAILING)
    assert (status, error["code"]) == (409, "policy")
    kept = [row["decision_id"] for row in await house.ledger()]
    assert kept == [each["meta"]["decision_id"] for each in (first, third)]


async def test_a_refusal_holds_for_the_fallback_too(house: House) -> None:
    await house.within(model_ms=50)
    house.document = house.context.active().document
    await house.deploy(document_with(house, "tail", forbidden=[NO_ANSWER]))
    house.kill("tail")
    first, second = await house.ask(QUIET, FAILING)
    assert first["safety"]["fallback"]
    assert second["error"]["code"] == "policy"


async def test_a_suggestion_is_moved_within_the_policys_limits(house: House) -> None:
    limit = {
        "field": "parameter.threads",
        "high": 6.5,
        "level": "unsafe",
        "repair": "clamp",
        "message": "The machines have six cores.",
    }
    await house.deploy(document_with(house, "bayes-opt", ranges=[limit]))
    answer = await post(house, STUDIES, {"study": "s", "space": SPACE})
    assert answer["data"]["parameters"]["threads"] == 6
    assert answer["meta"]["moved"] == ["threads"]
    assert answer["safety"]["level"] == "unsafe"
    assert not answer["safety"]["fallback"]
    assert [each["rule"] for each in answer["safety"]["violations"]] == ["range:parameter.threads"]
    assert answer["safety"]["unjudged"] == ["parameters.allocator"]
