import numpy as np

from models.anomaly.slots import Slots
from models.memory import give_back, trim_heap


def test_free_rows_read_as_zeros_and_the_others_stay() -> None:
    table = np.zeros((1_000, 512))
    table[:] = np.arange(1_000)[:, None]
    give_back([table], [(100, 900)])
    trim_heap()
    assert (table[:100] == np.arange(100)[:, None]).all()
    assert (table[900:] == np.arange(900, 1_000)[:, None]).all()
    assert not table[101:899].any()


def test_a_view_is_left_alone() -> None:
    table = np.ones((1_000, 512))
    give_back([table[::2]], [(0, 500)])
    assert table.all()


def test_the_runs_of_free_rows_are_found() -> None:
    slots = Slots(20)
    for _ in range(12):
        slots.take()
    for slot in (3, 4, 5, 6, 10):
        slots.release(slot)
    assert slots.free_runs(3) == [(3, 7), (12, 20)]
    assert slots.free_runs(1) == [(3, 7), (10, 11), (12, 20)]
