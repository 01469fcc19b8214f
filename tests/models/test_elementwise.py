import math

import numpy as np

from models.elementwise import exp, log


def test_an_element_has_the_same_bits_at_any_place_in_any_shape() -> None:
    values = np.random.default_rng(1).uniform(0.01, 20, 200)
    for function, scalar in ((exp, math.exp), (log, math.log)):
        expected = np.array([scalar(v) for v in values])
        assert (function(values) == expected).all()
        assert (function(values[3:8]) == expected[3:8]).all()
        assert (function(values[::-1]) == expected[::-1]).all()
        assert (function(values.reshape(10, 20).T) == expected.reshape(10, 20).T).all()
        assert function(values[:0]).shape == (0,)
