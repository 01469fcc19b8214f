"""A changed definition is in force once it is within bounds; until then the last good one is."""

import numpy as np
import pytest

from tests.deployments.definitions.conftest import Definitions, World

FAILURES: Definitions = {"failures": {"expression": "error_rate * request_rate"}}
HUNDREDFOLD: Definitions = {"failures": {"expression": "100 * error_rate * request_rate"}}
HEADROOM: Definitions = {"headroom": {"function": "own:headroom", "inputs": ["load"]}}
MODULE = "def headroom(load):\n    return 1 - load\n"


async def test_what_is_new_is_in_force_at_once_and_what_is_gone_is_not(world: World) -> None:
    await world.define(FAILURES)
    assert {*(await world.decided()).named} == {"failures"}
    more = FAILURES | {"twice": {"expression": "failures * 2"}}
    await world.define(more)
    assert {*(await world.decided()).named} == {"failures", "twice"}
    await world.define({})
    assert (await world.decided()).named == {}
    for kind in ("publication_accepted", "publication_refused"):
        assert world.events(kind) == []


async def test_a_change_within_bounds_is_in_force_and_noted(world: World) -> None:
    await world.define(FAILURES)
    await world.define({"failures": {"expression": "1.1 * error_rate * request_rate"}})
    decided = await world.decided()
    assert decided.refusals == ()
    assert decided.named["failures"].definition.expression == "1.1 * error_rate * request_rate"
    (said,) = world.events("publication_accepted")
    assert f"the feature failures ({decided.named['failures'].id}) is in force" in said
    assert "figures are within their bounds" in said
    described = {"failures": {"expression": "1.1 * error_rate * request_rate", "owner": "sre"}}
    await world.define(described)
    assert (await world.decided()).named["failures"].definition.owner == "sre"
    assert len(world.events("publication_accepted")) == 1


async def test_a_unit_that_is_off_is_held_back_over_a_restart_until_it_is_forced(
    world: World,
) -> None:
    await world.define(FAILURES)
    await world.publish()
    before = await world.values("failures")
    assert np.isfinite(before).all()
    await world.define(HUNDREDFOLD)
    decided = await world.decided()
    (refusal,) = decided.refusals
    held = refusal.of("failures")
    assert held.refused
    assert "quantile 0.5 of failures" in held.why
    far = {each.of: each for each in held.figures if not each.within}
    median = far["quantile 0.5 of failures"]
    assert median.after == pytest.approx(100 * median.before)
    assert await world.values("failures") == before
    assert len(world.events("publication_refused")) == 1

    world.now += 5
    await world.restart()
    assert (await world.decided()).refusals == (refusal,)
    assert await world.values("failures") == before
    assert len(world.events("publication_refused")) == 1

    forced = {"failures": HUNDREDFOLD["failures"] | {"forced": held.id}}
    await world.define(forced)
    assert (await world.decided()).refusals == ()
    np.testing.assert_allclose(await world.values("failures"), np.multiply(before, 100))
    assert "forced by the configuration" in world.events("publication_accepted")[0]
    # A later change is compared again.
    await world.define({"failures": FAILURES["failures"] | {"forced": held.id}})
    assert len((await world.decided()).refusals) == 1


async def test_other_bounds_and_another_change_are_compared_anew(world: World) -> None:
    await world.define(FAILURES)
    await world.define(HUNDREDFOLD)
    await world.define(FAILURES)
    assert (await world.decided()).refusals == ()
    await world.define(HUNDREDFOLD)
    wide = {"publishing": {"most_ratio": 1000, "most_tail_ratio": 1000}}
    assert len((await world.decided()).refusals) == 1
    await world.define(HUNDREDFOLD, **wide)
    decided = await world.decided()
    assert decided.refusals == ()
    assert decided.named["failures"].definition.expression == HUNDREDFOLD["failures"]["expression"]


async def test_what_follows_from_a_change_is_compared_with_it(world: World) -> None:
    """The change itself is small; what depends on it is missing then."""
    dependent = {"room": {"expression": "log(share - 0.9)"}}
    await world.define(
        {"share": {"expression": "1 + 0 * load"}, "other": {"expression": "load"}} | dependent
    )
    await world.publish()
    before = await world.values("room")
    changed: Definitions = {
        "share": {"expression": "0.8 + 0 * load"},
        "other": {"expression": "load * 1.1"},
    }
    await world.define(changed | dependent)
    (refusal,) = (await world.decided()).refusals
    assert {*refusal.ids} == {"share"}
    assert "share of room that is missing" in refusal.why
    assert await world.values("room") == before
    assert (await world.decided()).named["other"].definition.expression == "load * 1.1"


async def test_what_a_held_back_one_needs_stays(world: World) -> None:
    part = {"part": {"expression": "load * 2"}}
    await world.define(part | {"mine": {"expression": "part + 1"}})
    await world.publish()
    before = await world.values("mine")
    await world.define({"mine": {"expression": "load * 1000"}})
    assert {*(await world.decided()).named} == {"part", "mine"}
    assert await world.values("mine") == before
    await world.define({"mine": {"expression": "load * 2.1 + 1"}})
    assert {*(await world.decided()).named} == {"mine"}


async def test_with_nothing_stored_there_is_nothing_to_compare(world: World) -> None:
    world.store.execute("TRUNCATE TABLE measurements")
    await world.define(FAILURES)
    await world.define(HUNDREDFOLD)
    assert (await world.decided()).refusals == ()
    assert "nothing stored to compare it with" in world.events("publication_accepted")[0]


async def test_a_function_is_published_and_a_changed_one_is_compared(world: World) -> None:
    world.module(MODULE)
    await world.define(HEADROOM)
    await world.publish()
    before = await world.served("headroom", "load")
    np.testing.assert_array_equal(before.values[:, 0], 1 - before.values[:, 1])
    np.testing.assert_array_equal(before.event_time[:, 0], before.event_time[:, 1])
    await world.service.step()
    assert (await world.decided()).health["headroom"].state == "ok"

    world.module("def headroom(load):\n    return 100 * (1 - load)\n")
    await world.decide()
    (refusal,) = (await world.decided()).refusals
    assert "quantile 0.5 of headroom" in refusal.why
    await world.restart()
    await world.publish()
    assert await world.values("headroom") == before.values[:, 0].tolist()

    world.module("def headroom(load):\n    return 1.1 * (1 - load)\n")
    await world.decide()
    assert (await world.decided()).refusals == ()
    # Published again without waiting for the next interval.
    np.testing.assert_allclose(await world.values("headroom"), 1.1 * before.values[:, 0])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def headroom(load):\n    raise OSError('no')\n", "missing"),
        ("def headroom(load):\n    return load - load.mean()\n", "other rows"),
        ("def headroom(load) return", "SyntaxError"),
    ],
)
async def test_a_module_that_is_broken_is_held_back(world: World, text: str, reason: str) -> None:
    world.module(MODULE)
    await world.define(HEADROOM)
    await world.publish()
    before = await world.values("headroom")
    world.module(text)
    await world.decide()
    (refusal,) = (await world.decided()).refusals
    assert refusal.refused
    assert reason in refusal.why or reason == "missing"
    await world.publish()
    assert await world.values("headroom") == before


async def test_one_that_is_too_slow_to_be_compared_with_goes_on(world: World) -> None:
    """It is quick for the few entities that are published, and not for an hour of them."""
    slow = "import time\ndef headroom(load):\n    time.sleep(60 * (len(load) > 50))\n"
    world.module(f"{slow}    return 1 - load\n")
    await world.define(HEADROOM, function_seconds=5.0)
    await world.publish()
    before = await world.values("headroom")
    assert np.isfinite(before).all()
    world.module("def headroom(load):\n    return 100 * (1 - load)\n")
    await world.decide()
    (refusal,) = (await world.decided()).refusals
    assert not refusal.refused
    assert "took longer than 5 s; it is tried again" in refusal.why
    assert await world.values("headroom") == before
    assert world.events("publication_accepted") == []


async def test_a_module_that_others_can_write_is_held_back(world: World) -> None:
    world.module(MODULE)
    await world.define(HEADROOM)
    (world.folder / "own.py").chmod(0o666)
    await world.decide()
    (refusal,) = (await world.decided()).refusals
    assert "can be written by others" in refusal.why
    await world.publish()
    assert np.isfinite(await world.values("headroom")).all()
    (world.folder / "own.py").chmod(0o644)
    await world.decide()
    assert (await world.decided()).refusals == ()


async def test_one_that_fails_is_missing_and_the_rest_is_published(world: World) -> None:
    world.module(MODULE)
    own = HEADROOM | {
        "broken": {"function": "own:nobody", "inputs": ["load"]},
        "lost": {"function": "away:lost", "inputs": ["load"]},
        "after": {"expression": "broken + 1"},
        "both": {"expression": "headroom * 2", "high": 0.9},
    }
    await world.define(own)
    await world.publish()
    await world.service.step()
    found = await world.served("headroom", "broken", "lost", "after", "both", "load")
    there = np.isfinite(found.values).all(axis=0).tolist()
    assert there == [True, False, False, False, False, True]
    assert np.isnan(found.values[:, [1, 2, 3]]).all()
    np.testing.assert_array_equal(
        found.outside[:, 4], found.values[:, 0] * 2 > 0.9
    )  # of the published number
    health = (await world.decided()).health
    assert {name: each.state for name, each in health.items()} == {
        "headroom": "ok",
        "broken": "failing",
        "lost": "failing",
    }
    assert "is not in its module" in health["broken"].why
    assert "No such file" in health["lost"].why
    # It appears: nothing was served before it, so nothing is compared.
    world.module("def lost(load):\n    return load\n", "away.py")
    await world.decide()
    assert np.isfinite(await world.values("lost")).all()


async def test_a_number_out_of_bounds_is_said_to_be_so(world: World) -> None:
    world.module(MODULE)
    await world.define({"headroom": HEADROOM["headroom"] | {"high": 0.45}})
    await world.publish()
    found = await world.served("headroom", "load")
    np.testing.assert_array_equal(found.outside[:, 0], 1 - found.values[:, 1] > 0.45)
    assert found.outside.any()
    assert np.isnan(found.values[found.outside]).all()
