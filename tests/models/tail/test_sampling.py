import numpy as np

from models.tail.history import History
from models.tail.sampling import draw_requests, state_weights


def quiet_with_a_storm() -> History:
    """Make a thousand quiet minutes for each stormy one; targets tell minute and exemplar."""
    count = 50_050
    rng = np.random.default_rng(1)
    load = np.where(np.arange(count) < 50_000, 0.1, 1.2) + rng.uniform(-0.04, 0.04, count)
    inputs = np.stack([load, rng.random(count), rng.random(count) / 100, np.ones(count)], axis=1)
    targets = (np.arange(count)[:, None] * 10 + np.arange(8)).astype(np.float64)
    return History(inputs, targets, np.arange(count), np.full(count, "gateway"))


def test_weights_are_probabilities_and_favour_the_rare() -> None:
    weights = state_weights(quiet_with_a_storm().inputs)
    assert abs(weights.sum() - 1) < 1e-12
    assert weights.min() >= 0.5 / weights.size
    assert weights[50_000:].sum() > 0.05  # their share of the minutes is 0.001


def test_inputs_and_targets_stay_together() -> None:
    history = quiet_with_a_storm()
    inputs, targets = draw_requests(history, 5_000, np.random.default_rng(2))
    minute, exemplar = np.divmod(targets, 10)
    assert (inputs == history.inputs[minute.astype(int)]).all()
    assert set(exemplar) == set(range(8))


def test_a_platform_that_never_changes_can_be_drawn_from() -> None:
    still = History(
        np.full((100, 4), 0.5), np.zeros((100, 8)), np.arange(100), np.full(100, "gateway")
    )
    np.testing.assert_allclose(state_weights(still.inputs), 0.01)
