import numpy as np
import pytest

from models.tail.plan import MOST_SCALING, RELIEF, plan, relieved


def p99_that_meets_from(rung: float) -> list[float]:
    """Make a p99 of 2 that meets an objective of 1 from that rung of relief on."""
    return [2.0 if relief < rung else 1.0 for relief in RELIEF]


@pytest.mark.parametrize(
    ("rung", "breach", "action", "workers", "admitted"),
    [
        (1.0, 0.001, "none", 7, 1.0),
        (1.25, 0.02, "scale_up", 9, 1.0),  # 7 x 1.25 = 8.75
        (2.0, 0.3, "scale_up", 14, 1.0),
        (3.0, 0.3, "scale_up", 21, 1.0),
        (4.0, 0.3, "shed_load", 21, 0.75),
        (6.0, 0.3, "shed_load", 21, 0.5),
        (12.0, 0.3, "shed_load", 21, 0.25),
        (99.0, 0.3, "page", 21, 0.25),
        (2.0, 0.97, "page", 14, 1.0),
        (6.0, 0.95, "page", 21, 0.5),
    ],
)
def test_the_lowest_rung_that_meets_the_objective_decides(
    rung: float, breach: float, action: str, workers: int, admitted: float
) -> None:
    steps = plan(
        np.array([p99_that_meets_from(rung)]),
        np.array([1.0]),
        np.array([breach]),
        np.array([7.0]),
        np.array([True]),
    )
    assert (steps.action[0], steps.workers[0], steps.admit_fraction[0]) == (
        action,
        workers,
        admitted,
    )


def test_the_ladder_starts_with_the_row_as_it_is() -> None:
    loads = relieved(np.array([0.9, 0.0]))
    assert loads.shape == (2, len(RELIEF))
    assert loads[:, 0].tolist() == [0.9, 0.0]
    assert loads[0, RELIEF.index(MOST_SCALING)] == 0.9 / 3
    assert (np.diff(loads[0]) < 0).all()


@pytest.mark.parametrize(("p99", "breach", "action"), [(0.9, 0.01, "none"), (1.1, 0.1, "page")])
def test_where_no_load_was_measured_the_fleet_is_kept_and_a_person_called(
    p99: float, breach: float, action: str
) -> None:
    rungs = np.full((1, len(RELIEF)), p99)
    steps = plan(rungs, np.ones(1), np.array([breach]), np.array([7.0]), np.array([False]))
    assert (steps.action[0], steps.workers[0], steps.admit_fraction[0]) == (action, 7, 1.0)
