"""Points that fill a cube evenly, scrambled by a seed: Owen 1998, by SciPy."""

from scipy.stats import qmc

from models.protocols import FloatArray


def sobol(columns: int, count: int, seed: int) -> FloatArray:
    """Draw `count` points; the first ones of a longer draw are the same."""
    engine = qmc.Sobol(columns, scramble=True, rng=seed)
    points: FloatArray = engine.random_base2(max(count - 1, 0).bit_length())[:count]
    return points
