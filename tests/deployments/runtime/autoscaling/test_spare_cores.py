"""How much of the processors is left, by what the kernel writes."""

import os
from pathlib import Path

import pytest

from deployments.runtime.autoscaling.spare_cores import SpareCores

CORES = float(os.cpu_count() or 1)


def write(path: Path, *times: int) -> None:
    path.write_text(f"cpu  {' '.join(map(str, times))}\ncpu0 1 2 3 4\n")


@pytest.mark.parametrize(
    ("passed", "share", "niceness"),
    [
        ((100, 0, 0, 100, 0, 0, 0, 0), 0.5, 0),
        ((0, 0, 0, 60, 40, 0, 0, 0), 1.0, 0),  # who waits for a disk leaves the processor to others
        ((50, 0, 50, 0, 0, 0, 0, 0), 0.0, 0),
        ((50, 50, 0, 0, 0, 0, 0, 0), 0.5, 0),  # what is nice gives way
        ((50, 50, 0, 0, 0, 0, 0, 0), 0.0, 19),  # to who is not nice as well
        ((0, 0, 0, 50, 0, 0, 0, 50), 0.5, 0),  # what the host takes is nobody's here
        ((100, 0, 0, 100, 0, 0, 0, 0, 100, 100), 0.5, 0),  # guests' time is within the first
    ],
)
def test_it_tells_what_was_left_since_the_last_time(
    tmp_path: Path, passed: tuple[int, ...], share: float, niceness: int
) -> None:
    stat = tmp_path / "stat"
    before = (1000, 200, 300, 5000, 60, 7, 8, 9, 0, 0)
    write(stat, *before)
    spare = SpareCores(stat, niceness)
    after = [old + new for old, new in zip(before, (*passed, 0, 0), strict=False)]
    write(stat, *after)
    assert spare.cores() == pytest.approx(share * CORES)


def test_where_the_kernel_does_not_say_all_are_spare(tmp_path: Path) -> None:
    assert SpareCores(tmp_path / "nothing").cores() == CORES
    (tmp_path / "other").write_text("no numbers here\n")
    assert SpareCores(tmp_path / "other").cores() == CORES


def test_this_machine_says_it() -> None:
    spare = SpareCores()
    assert 0.0 <= spare.cores() <= CORES
