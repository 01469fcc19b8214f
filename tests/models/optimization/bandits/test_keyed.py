import numpy as np
from scipy import stats

from models.optimization.bandits.keyed import keys_of, uniforms


def test_draws_are_splitmix64s() -> None:
    """Against the outputs that its authors publish for the seed 1234567."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    drawn = uniforms(np.array([1234567], np.uint64), 3)[0]
    np.testing.assert_allclose(drawn, np.array(published) / 2.0**64, atol=2.0**-52)


def test_a_row_draws_the_same_alone_and_in_a_batch() -> None:
    keys = keys_of([f"decision-{i}" for i in range(100)])
    alone = np.vstack([uniforms(keys[i : i + 1], 2) for i in range(100)])
    assert alone.tobytes() == uniforms(keys, 2).tobytes()


def test_draws_of_ids_in_a_row_are_even_and_unrelated() -> None:
    drawn = uniforms(keys_of([str(i) for i in range(20_000)]), 2)
    for column in drawn.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    assert abs(np.asarray(np.corrcoef(drawn.T))[0, 1]) < 0.03
    assert ((drawn > 0) & (drawn < 1)).all()


def test_a_salt_changes_the_keys() -> None:
    assert keys_of(["a"], "one")[0] != keys_of(["a"], "two")[0]
    assert keys_of([]).size == 0
