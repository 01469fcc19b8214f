import numpy as np

from features.telemetry.derive import load_of

NAN = np.nan


def test_the_processors_stand_for_a_load_that_was_not_measured_and_for_no_other() -> None:
    load = np.array([0.5, NAN, NAN, NAN, NAN])
    cpu = np.array([0.9, 0.9, NAN, 0.9, 0.9])
    workers = np.array([4.0, 4.0, 4.0, NAN, 0.0])
    assert np.array_equal(load_of(load, cpu, workers), [0.5, 0.9, NAN, NAN, NAN], equal_nan=True)
