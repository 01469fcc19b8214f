import asyncio
import json
from typing import Any

import pytest
from redis.asyncio import Redis

from access.keys import Role
from deployments.runtime.state.cache import StateCache
from tests.deployments.asking import post, refused
from tests.deployments.house import House
from tests.waiting import until

ASK, TELL = "/models/bayes-opt", "/models/bayes-opt/tell"
SPACE = {
    "x": {"type": "float", "low": -5, "high": 10},
    "n": {"type": "int", "low": 1, "high": 64, "log": True},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
}
HERE = {"x": 1, "n": 8, "kind": "a"}
LINE = {"x": SPACE["x"]}
# The process beside imports a good deal, at the lowest priority.
BEGINS_WITHIN_SECONDS = 150.0
Body = dict[str, Any]


async def show(house: House, name: str) -> Body:
    async with house.client() as client:
        found = await client.get(f"/studies/{name}")
    assert found.status_code == 200, found.text
    answer: Body = found.json()
    return answer


def cost(parameters: Body) -> float:
    away = (parameters["x"] - 2) ** 2 + abs(parameters["n"] - 8) / 8
    return float(away + (parameters["kind"] == "a"))


async def run(house: House, name: str, trials: int, **more: Any) -> Body:
    answer: Body = {}
    for _ in range(trials):
        answer = await post(house, ASK, {"study": name, "space": SPACE, **more})
        outcome = {"trial_id": answer["data"]["trial_id"]}
        value = cost(answer["data"]["parameters"])
        await post(house, TELL, {"study": name, "value": value, **outcome})
    return answer


async def test_a_study_is_asked_and_told(house: House) -> None:
    first = await post(house, ASK, {"study": "s", "space": SPACE})
    assert first["data"]["trial_id"] == 0
    assert -5 <= first["data"]["parameters"]["x"] <= 10
    assert first["data"]["best"] is None
    assert first["meta"]["suggestion"]["source"] == "start"
    assert first["safety"]["level"] == "safe"
    told = await post(house, TELL, {"study": "s", "trial_id": 0, "value": 3.5})
    assert (told["data"]["trials"], told["data"]["pending"]) == (1, 0)
    assert told["data"]["best"]["value"] == 3.5
    code, error = await refused(house, TELL, {"study": "s", "trial_id": 0, "value": 3.5})
    assert (code, error["code"]) == (409, "conflict")


async def test_a_suggestion_claims_no_interval_and_says_that_nobody_judged_it(
    house: House,
) -> None:
    answer = await post(house, ASK, {"study": "s", "space": SPACE})
    assert answer["interval"] is None
    assert "is not predicted" in answer["meta"]["interval_reason"]
    assert answer["safety"]["unjudged"] == ["parameters"]


async def test_a_model_takes_over_after_the_start_and_finds_what_is_best(house: House) -> None:
    (replica,) = house.replicas["optimization"]
    for _ in range(12):
        last = await run(house, "s", 1)
        queue = replica._suggestions._queues["s"]
        await until(lambda queue=queue: queue.fresh > 0 or not queue.lacks, BEGINS_WITHIN_SECONDS)  # type: ignore[misc] # bound now
    assert last["meta"]["suggestion"]["source"] == "model"
    assert last["data"]["expected_improvement"] >= 0
    assert last["data"]["best"]["value"] < 4.0  # a trial at random costs 20


async def test_with_nothing_computed_ahead_a_cheap_suggestion_says_so(house: House) -> None:
    (replica,) = house.replicas["optimization"]
    await run(house, "s", 5)
    replica._suggestions._queues["s"].failed = True  # nothing comes
    replica._suggestions._queues["s"].ready.clear()
    rows = [{"study": "s", "wait_ms": 0}] * 4
    answers = await post(house, ASK, {"rows": rows})
    sources = [each["meta"]["suggestion"]["source"] for each in answers]
    assert sorted(sources) == ["near_best", "near_best", "spread", "spread"]
    assert len({each["data"]["parameters"]["x"] for each in answers}) == 4


async def test_several_asks_at_once_differ_and_rest_on_a_model(house: House) -> None:
    await run(house, "s", 8, wait_ms=5000)
    (replica,) = house.replicas["optimization"]
    queue = replica._suggestions._queues["s"]
    await until(lambda: queue.fresh == 3, BEGINS_WITHIN_SECONDS)
    answers = await post(house, ASK, {"rows": [{"study": "s"}] * 3})
    assert [each["meta"]["suggestion"]["source"] for each in answers] == ["model"] * 3
    assert len({json.dumps(each["data"]["parameters"]) for each in answers}) == 3


@pytest.mark.asyncio(loop_scope="class")
class TestNoStudy:
    """What is refused begins no study."""

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"space": {}}, "space"),
            ({"space": {"x": {"type": "float", "low": 1, "high": 0}}}, "space"),
            ({"space": {"x": {"type": "int", "low": 5, "high": 5}}}, "space"),
            ({"space": {"x": {"type": "float", "low": 0, "high": 1, "log": True}}}, "space"),
            ({"space": {"x": {"type": "categorical", "choices": ["a", "a"]}}}, "space"),
            ({"space": {"x": {"type": "colour"}}}, "space.x"),
            ({"space": {"x": {"type": "int", "low": 0, "high": 2**64}}}, "space.x"),
            ({"space": {"x": {"type": "float", "low": 0, "high": 10**400}}}, "space.x"),
            ({"space": {"x": {"type": "categorical", "choices": [10**400]}}}, "space.x"),
            ({"goal": "most"}, "goal"),
            ({"constraints": ["c", "c"]}, "constraints"),
            ({"history": [{"parameters": {"x": 1}, "value": 1}]}, "history.0"),
            ({"design": {"starts": 1}}, "design.starts"),
            ({"design": {"candidates": []}}, "design.candidates"),
            ({"design": {"candidates": [HERE] * 2_001}}, "design.candidates"),
            ({"design": {"candidates": [HERE, HERE | {"x": 99}]}}, "design.candidates.1"),
            ({"design": {"candidates": [HERE, {"x": 1}]}}, "design.candidates.1"),
            ({"design": {"candidates": [HERE, HERE | {"y": 1}]}}, "design.candidates.1"),
            ({"design": {"candidates": [HERE, HERE | {"n": 2.5}]}}, "design.candidates.1"),
            ({"design": {"candidates": [HERE, HERE | {"x": 10**400}]}}, "design.candidates.1"),
            ({"design": {"candidates": [HERE | {"n": 9}, HERE, HERE]}}, "design.candidates.2"),
            (
                {"design": {"candidates": [HERE, HERE | {"x": 1.0, "n": 8.0}]}},
                "design.candidates.1",
            ),
            ({"design": {"sought": 0}}, "design.sought"),
            ({"design": {"sought": 1_001}}, "design.sought"),
            ({"colour": 1}, "colour"),
        ],
    )
    async def test_what_is_no_study_does_not_begin(
        self, shared_house: House, changes: Body, field: str
    ) -> None:
        code, error = await refused(shared_house, ASK, {"study": "s", "space": SPACE} | changes)
        assert code == 422
        assert any(name.startswith(field) for name in error["fields"])
        async with shared_house.client() as client:
            assert (await client.get("/studies")).json() == {"studies": [], "next": None}


async def test_outcomes_that_are_none_are_refused(house: House) -> None:
    assert (await refused(house, ASK, {"study": "s"}))[0] == 422  # not begun, and no space
    assert (await refused(house, TELL, {"study": "s", "trial_id": 0, "value": 1}))[0] == 404
    await post(house, ASK, {"study": "s", "space": SPACE, "constraints": ["c"]})
    told: Body = {"study": "s", "trial_id": 0, "value": 1.0, "constraints": {"c": -1}}
    assert (await refused(house, TELL, told | {"trial_id": 7}))[0] == 404
    for change, field in (
        ({"trial_id": -1}, "trial_id"),
        ({"value": None}, "body"),
        ({"failed": True}, "body"),
        ({"constraints": {}}, "constraints"),
        ({"constraints": {"d": 1}}, "constraints"),
        ({"value": [1.0, 2.0]}, "value"),
    ):
        code, error = await refused(house, TELL, told | change)
        assert (code, list(error["fields"])) == (422, [field]), change
    for number in ("NaN", "1e999", '"1"'):
        body = f'{{"study": "s", "trial_id": 0, "value": {number}}}'
        assert (await refused(house, TELL, body))[0] == 422
    assert (await show(house, "s"))["pending"] == 1
    await post(house, TELL, told)


async def test_a_study_keeps_its_design(house: House) -> None:
    body = {"study": "s", "space": SPACE, "goal": "maximise", "design": {"seed": 4}}
    await post(house, ASK, body)
    await post(house, ASK, body)
    changes = {
        "goal": "minimise",
        "space": {"x": SPACE["x"]},
        "constraints": ["c"],
    }
    for name, change in changes.items():
        code, error = await refused(house, ASK, body | {name: change})
        assert (code, list(error["fields"])) == (409, [name])
    for name, setting in {"seed": 5, "sought": 2, "candidates": [HERE]}.items():
        code, error = await refused(house, ASK, body | {"design": {name: setting}})
        assert (code, list(error["fields"])) == (409, [f"design.{name}"])


async def test_a_history_that_grows_is_taken_once(house: House) -> None:
    past = [
        {"parameters": {"x": float(x), "n": 8, "kind": "b"}, "value": (x - 2.0) ** 2}
        for x in range(6)
    ]
    body = {"study": "s", "space": SPACE, "history": past[:4]}
    answer = await post(house, ASK, body)
    assert (answer["data"]["trial_id"], answer["data"]["best"]["value"]) == (4, 0)
    await post(house, ASK, body)
    grown = [*past, {"parameters": past[0]["parameters"], "failed": True}]
    answer = await post(house, ASK, body | {"history": grown})
    assert (answer["data"]["trials"], answer["data"]["pending"]) == (10, 3)


async def test_ten_thousand_trials_are_the_most(house: House) -> None:
    point = {"parameters": {"x": 1.0}, "value": 1.0}
    space = {"x": SPACE["x"]}
    body = {"study": "s", "space": space, "history": [point] * 9_999}
    assert (await refused(house, ASK, body | {"history": [point] * 10_001}))[0] == 422
    answer = await post(house, ASK, body | {"wait_ms": 0})
    assert answer["data"]["trials"] == 10_000
    code, error = await refused(house, ASK, {"study": "s", "wait_ms": 0})
    assert (code, error["code"]) == (409, "conflict")
    await post(house, TELL, {"study": "s", "trial_id": 9_999, "value": 0.5})


async def test_candidates_are_asked_for_once_each(house: House) -> None:
    candidates = [{"x": float(x)} for x in range(7)]
    body = {"study": "s", "space": LINE, "design": {"candidates": candidates, "sought": 3}}
    answers = await post(house, ASK, {"rows": [body | {"wait_ms": 0}] * 7})
    assert sorted(each["data"]["parameters"]["x"] for each in answers) == list(range(7))
    assert [each["data"]["candidates_left"] for each in answers] == [6, 5, 4, 3, 2, 1, 0]
    code, error = await refused(house, ASK, {"study": "s", "wait_ms": 5000})
    assert (code, error["code"]) == (409, "conflict")
    assert error["message"].startswith("All 7 candidates have been suggested")
    found = await show(house, "s")
    assert (found["trials"], found["candidates_left"]) == (7, 0)
    assert (found["design"]["candidates"], found["design"]["sought"]) == (candidates, 3)


async def test_a_model_chooses_among_candidates_to_the_last(house: House) -> None:
    # Tenths come back from the unit cube with another last bit, and whole numbers as floats.
    candidates = [{"x": round(-5 + 0.1 * at, 2)} for at in range(12)] + [{"x": 3}]
    design = {"candidates": candidates, "sought": 2, "starts": 3}
    asked = list[Body]()
    (replica,) = house.replicas["optimization"]
    for at in range(len(candidates)):
        if at >= 3:  # the process beside takes a while, on a busy machine longer than one waits
            await until(lambda: replica._suggestions._queues["s"].fresh > 0, BEGINS_WITHIN_SECONDS)
        body = {"study": "s", "space": LINE, "design": design, "wait_ms": 5000}
        answer = await post(house, ASK, body)
        asked.append(answer["data"]["parameters"])
        source = answer["meta"]["suggestion"]["source"]
        assert source == ("start" if at < 3 else "model")
        told = {"study": "s", "trial_id": at, "value": asked[-1]["x"] ** 2}
        await post(house, TELL, told)
    assert sorted(each["x"] for each in asked) == sorted(each["x"] for each in candidates)
    assert (await refused(house, ASK, {"study": "s", "wait_ms": 5000}))[0] == 409
    assert not replica._suggestions._queues["s"].failed  # nothing was wanted of an empty list


async def test_a_candidate_that_was_run_elsewhere_is_not_asked_for(house: House) -> None:
    candidates = [{"x": float(x)} for x in range(4)]
    past = [{"parameters": {"x": x}, "value": 1.0} for x in (0, 2, 9)]
    body = {"study": "s", "space": LINE, "design": {"candidates": candidates}, "history": past}
    answers = await post(house, ASK, {"rows": [body | {"wait_ms": 0}] * 2})
    assert sorted(each["data"]["parameters"]["x"] for each in answers) == [1, 3]
    assert (await refused(house, ASK, body))[0] == 409
    assert (await show(house, "s"))["trials"] == 5


async def nothing(*_: Any) -> None: ...


async def test_a_long_list_lies_once_in_the_log(
    house: House, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A snapshot would take the place of what the log has.
    monkeypatch.setattr(StateCache, "tidy", nothing)
    candidates = [HERE | {"x": at / 300} for at in range(2_000)]
    body = {"study": "s", "space": SPACE, "design": {"candidates": candidates}, "wait_ms": 0}
    for _ in range(4):
        await post(house, ASK, body)
    (stream,) = [key async for key in redis.scan_iter("*", _type="stream") if b":s" in key]
    entries = await redis.xrange(stream)
    assert entries is not None
    first, *rest = [sum(len(each) for each in entry.values()) for _, entry in entries if entry]
    assert first < len(json.dumps(body))
    assert len(rest) == 3
    assert max(rest) < 1_000


async def test_a_study_of_two_goals_has_a_front(house: House) -> None:
    body = {"study": "s", "space": SPACE, "goal": ["minimise", "maximise"]}
    for value in ([1.0, 1.0], [2.0, 2.0], [2.0, 0.5]):
        answer = await post(house, ASK, body)
        outcome = {"study": "s", "trial_id": answer["data"]["trial_id"], "value": value}
        told = await post(house, TELL, outcome)
    assert told["data"]["best"] is None
    assert [each["value"] for each in told["data"]["front"]] == [[1.0, 1.0], [2.0, 2.0]]


async def test_a_replica_that_dies_loses_no_trial_and_counts_none_twice(house: House) -> None:
    for step in range(18):
        if step % 6 == 3:
            await house.start("optimization")
            house.directories["optimization"].addresses.pop(0)
            house.kill("optimization", step // 6)
        answer = await post(house, ASK, {"study": "quaked", "space": SPACE, "wait_ms": 0})
        assert answer["data"]["trial_id"] == step
        told = {"study": "quaked", "trial_id": step, "value": cost(answer["data"]["parameters"])}
        await post(house, TELL, told)
        assert (await refused(house, TELL, told))[0] == 409
    found = await show(house, "quaked")
    assert (found["trials"], found["pending"]) == (18, 0)
    replica = house.replicas["optimization"][-1]
    live = replica._services["bayes-opt"].cache._residents["quaked"].state
    fresh = await house.start("optimization")
    service = fresh._services["bayes-opt"]
    held = (await service.cache.hold(["quaked"])).residents
    assert service.handler.encode(held["quaked"].state) == service.handler.encode(live)


async def test_a_kill_among_many_requests_keeps_every_trial(house: House) -> None:
    async def one(number: int) -> tuple[str, int]:
        name = f"s{number % 3}"
        answer = await post(house, ASK, {"study": name, "space": SPACE, "wait_ms": 0})
        trial = answer["data"]["trial_id"]
        await post(house, TELL, {"study": name, "trial_id": trial, "value": float(number)})
        return name, trial

    asked = [asyncio.create_task(one(number)) for number in range(45)]
    await asyncio.sleep(0.02)
    await house.start("optimization")
    house.directories["optimization"].addresses.pop(0)
    house.kill("optimization")
    trials = await asyncio.gather(*asked)
    assert len(set(trials)) == 45
    counts = [await show(house, f"s{number}") for number in range(3)]
    assert [(each["trials"], each["pending"]) for each in counts] == [(15, 0)] * 3


async def test_the_process_beside_may_die(house: House) -> None:
    (replica,) = house.replicas["optimization"]
    await run(house, "s", 7, wait_ms=5000)
    replica._suggesting._process.kill()
    last = await run(house, "s", 2, wait_ms=5000)
    assert last["data"]["trial_id"] == 8
    await until(lambda: replica._suggestions._queues["s"].fresh > 0, BEGINS_WITHIN_SECONDS)


async def test_studies_are_listed_shown_and_forgotten(house: House) -> None:
    for name in ("venue/b", "venue/a"):
        await post(house, ASK, {"study": name, "space": SPACE})
    async with house.client() as client:
        listed = (await client.get("/studies", params={"limit": 1})).json()
        assert listed == {"studies": ["venue/a"], "next": "venue/a"}
        found = (await client.get("/studies/venue/a")).json()
        assert found["design"]["space"] == {
            "x": {"type": "float", "low": -5, "high": 10, "log": False},
            "n": SPACE["n"],
            "kind": SPACE["kind"],
        }
        assert found["latest"][0]["state"] == "pending"
        assert (await client.delete("/studies/venue/a")).status_code == 204
        assert (await client.get("/studies/venue/a")).status_code == 404
    async with house.client(Role.VIEWER) as client:
        assert (await client.get("/studies/venue/b")).status_code == 200
        assert (await client.delete("/studies/venue/b")).status_code == 403


async def test_without_redis_nothing_is_taken(house: House, redis: Redis) -> None:
    await post(house, ASK, {"study": "s", "space": SPACE})
    await redis.config_set("maxmemory", "1")  # Redis refuses every write from here on
    assert (await refused(house, ASK, {"study": "s"}))[0] == 503
    assert (await refused(house, TELL, {"study": "s", "trial_id": 0, "value": 1}))[0] == 503
    await redis.config_set("maxmemory", "0")
    await post(house, TELL, {"study": "s", "trial_id": 0, "value": 1})
    assert (await show(house, "s"))["trials"] == 1
