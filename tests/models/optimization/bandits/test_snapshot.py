"""State as bytes: whole, versioned, and resumed to the bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.errors import ArtifactError
from models.optimization.bandits import codec
from models.optimization.bandits.decide import decide
from models.optimization.bandits.design import Budget
from models.optimization.bandits.experiment import Experiment
from models.optimization.bandits.feedback import learn, record
from models.optimization.bandits.keyed import keys_of
from models.optimization.bandits.snapshot import decode, encode

Start = Callable[..., Experiment]
Ask = Callable[[int, int], dict[str, np.ndarray]]
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("linear", {}),
    ("linear", {"discount": 0.99, "capacity": 20}),
    ("gaussian", {"budget": Budget(share=0.3, pricing="confidence")}),
    ("bernoulli", {"budget": Budget(share=0.3), "deadline_s": 3.0, "missing_reward": 0.0}),
]


def go_on(experiment: Experiment, ask: Ask, first: int, last: int) -> None:
    """Decide, and reward most of what was decided two steps before."""
    for step in range(first, last):
        ids = [f"{step}-{i}" for i in range(3)]
        decided = decide(experiment, ask(3, step), keys_of(ids), policy="thompson", cap=0.7)
        record(experiment, ids, decided, now=float(step))
        due = [f"{step - 2}-{i}" for i in range(2)]
        learn(experiment, due, np.random.default_rng(step).random(2), now=float(step))


@pytest.mark.parametrize(("family", "settings"), SETTINGS)
@pytest.mark.parametrize("stop", [0, 1, 15, 40])
def test_a_resumed_experiment_goes_on_to_the_bit(
    start: Start, ask: Ask, family: str, settings: dict[str, Any], stop: int
) -> None:
    whole, cut = start(family, **settings), start(family, **settings)
    go_on(whole, ask, 0, 50)
    go_on(cut, ask, 0, stop)
    resumed = decode(encode(cut))
    assert encode(resumed) == encode(cut)
    go_on(resumed, ask, stop, 50)
    assert encode(resumed) == encode(whole)


def test_arms_and_baseline_survive(start: Start, ask: Ask) -> None:
    experiment = start()
    go_on(experiment, ask, 0, 5)
    experiment.add_arm("later")
    experiment.retire_arm("odd")
    experiment.set_baseline("new")
    resumed = decode(encode(experiment))
    assert (resumed.arms, resumed.retired, resumed.baseline) == (
        ["old", "new", "odd", "later"], {"odd"}, "new",
    )  # fmt: skip
    go_on(resumed, ask, 5, 8)
    go_on(experiment, ask, 5, 8)
    assert encode(resumed) == encode(experiment)


def test_replaying_what_the_snapshot_has_seen_changes_nothing(start: Start) -> None:
    """A replica that starts a little too far back in the stream counts nothing twice."""
    experiment = start("bernoulli")
    decided = decide(experiment, {}, keys_of(["a", "b"]), policy="ucb")
    record(experiment, ["a", "b"], decided, now=0.0)
    learn(experiment, ["a"], np.ones(1), now=1.0)
    resumed = decode(encode(experiment))
    record(resumed, ["a", "b"], decided, now=0.0)
    learn(resumed, ["a"], np.ones(1), now=1.0)
    before: Any = experiment.posterior
    after: Any = resumed.posterior
    assert after.successes.tobytes() == before.successes.tobytes()
    assert resumed.log.recorded == 2
    assert resumed.tally["duplicate"] == 1


@pytest.mark.parametrize("where", [0, 10, 40, -5, -1])
def test_a_damaged_copy_is_refused(start: Start, ask: Ask, where: int) -> None:
    experiment = start()
    go_on(experiment, ask, 0, 3)
    data = bytearray(encode(experiment))
    data[where] ^= 0x40
    with pytest.raises(ArtifactError, match="damaged or incomplete"):
        decode(bytes(data))


def test_a_cut_copy_is_refused(start: Start) -> None:
    data = encode(start())
    for length in (0, 3, 11, len(data) // 2, len(data) - 1):
        with pytest.raises(ArtifactError, match="damaged or incomplete"):
            decode(data[:length])


def test_another_kind_or_format_is_refused(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = start()
    with pytest.raises(ArtifactError, match="this release reads"):
        decode(codec.pack("decisions", {}, {}))
    data = encode(experiment)
    monkeypatch.setattr(codec, "FORMAT", codec.FORMAT + 1)
    with pytest.raises(ArtifactError, match=r"this release reads \(2, 'experiment'\)"):
        decode(data)
