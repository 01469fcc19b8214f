import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.sources.simulator.draws import decaying_sum, generator, wander


@given(values=st.lists(st.floats(-100, 100), min_size=1, max_size=300), keep=st.floats(0.01, 0.995))
def test_decaying_sum_is_the_recurrence(values: list[float], keep: float) -> None:
    total, expected = 0.0, []
    for value in values:
        total = keep * total + value
        expected.append(total)
    np.testing.assert_allclose(decaying_sum(np.array(values), keep), expected, rtol=1e-9, atol=1e-9)


def test_each_address_has_numbers_of_its_own() -> None:
    addresses = [
        (1, "a", "x", 5),
        (2, "a", "x", 5),
        (1, "b", "x", 5),
        (1, "a", "y", 5),
        (1, "a", "x", 6),
    ]
    draws = [generator(*address).random(1000) for address in addresses]
    np.testing.assert_array_equal(draws[0], generator(1, "a", "x", 5).random(1000))
    assert len({draw.tobytes() for draw in draws}) == len(addresses)
    correlations = np.corrcoef(draws) - np.eye(len(addresses))
    assert np.abs(correlations).max() < 0.15


def test_names_that_run_together_do_not_share_a_stream() -> None:
    one, other = generator(1, "ab", "c", 0).random(4), generator(1, "a", "bc", 0).random(4)
    assert (one != other).all()


def test_wander_is_a_standard_autoregression_that_joins_over_midnight() -> None:
    path = np.concatenate([wander(8, "a", "x", day, keep=0.9) for day in range(20_000, 20_060)])
    assert abs(path.mean()) < 0.05
    assert abs(path.std() - 1) < 0.03
    assert abs(np.corrcoef(path[1:], path[:-1])[0, 1] - 0.9) < 0.01
    steps = np.abs(np.diff(path))
    midnight = steps[1439::1440]
    assert midnight.mean() < 1.5 * steps.mean()
