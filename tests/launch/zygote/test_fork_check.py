import os
import sys
from pathlib import Path

import pytest

from launch.zygote.fork_check import ForkCheck, worker_script
from launch.zygote.order import Order, own_order
from launch.zygote.stand_in import order_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "one.py").write_text("ONE = 1\n")
    return tmp_path


@pytest.fixture
def order() -> Order:
    return own_order([worker_script(), "--worker-id=1"])


def test_a_worker_of_this_python_with_these_files_is_like_a_fork(root: Path, order: Order) -> None:
    assert ForkCheck(root).allows(order)


@pytest.mark.parametrize(
    "change",
    [
        {"python": "/usr/bin/python3"},
        {"command": ["/elsewhere/other.py"]},
        {"environment": dict(os.environ) | {"PYTHONPATH": "/elsewhere"}},
    ],
    ids=["Python", "program", "path"],
)
def test_another_is_not(root: Path, order: Order, change: Order) -> None:
    assert not ForkCheck(root).allows(order | change)


def test_code_that_was_changed_since_is_not_forked(root: Path, order: Order) -> None:
    fork_check = ForkCheck(root)
    one = root / "models" / "one.py"
    os.utime(one, ns=(1, one.stat().st_mtime_ns + 1))
    assert not fork_check.allows(order)
    assert ForkCheck(root).allows(order)
    (root / "models" / "two.py").write_text("TWO = 2\n")
    assert not fork_check.allows(order)


def test_only_a_plain_command_of_ray_is_handed_over() -> None:
    worker = worker_script()
    found = order_of([sys.executable, worker, "--worker-id=1"])
    assert found is not None
    assert found["command"] == [worker, "--worker-id=1"]
    assert order_of([sys.executable, "-c", "print()"]) is None
    assert order_of([sys.executable, "-X", "dev", worker]) is None
    assert order_of([sys.executable]) is None
