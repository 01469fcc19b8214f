from launch.restart_budget import RestartBudget


def test_it_is_used_up_and_comes_back_with_time() -> None:
    now = 0.0
    budget = RestartBudget(2, 600, lambda: now)
    assert budget.take()
    now = 500.0
    assert budget.take()
    assert not budget.take()
    now = 601.0
    assert budget.used == 1
    assert budget.take()
