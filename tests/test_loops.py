"""No task or thread may loop by itself: an exception would end it for good, and nobody would know.

The sources are read: whatever is started to run beside its starter, and loops, must be a step of
`observability.background.BackgroundLoop`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    *("deployments", "observability", "config_store", "features", "safety", "models", "tuning"),
    *("launch", "access", "settings"),
)
STARTERS = {"create_task", "ensure_future", "Thread", "run_coroutine_threadsafe"}

# What loops and yet is no background loop, or cannot be that one; with the reason.
ALLOWED = {
    ("observability/background.py", "_run"): "it is the one kind",
    ("observability/ledger/writer.py", "_flush"): "ends with what waits, and fails it if it breaks",
    ("observability/ledger/search.py", "_go"): "ends with who waits, and fails them if it breaks",
    (
        "deployments/runtime/helper/process.py",
        "_read",
    ): "ends with the process whose answers it reads",
    (
        "launch/progress.py",
        "repeat",
    ): "a thread that ends with the step of a start that it mentions; the step blocks",
    (
        "launch/redis_server.py",
        "_keep_alive",
    ): "a thread; a failed start is tried again",
    (
        "launch/front/process.py",
        "_keep",
    ): "a thread; a failed start is tried again",
    (
        "launch/serving.py",
        "_ask_on",
    ): "a thread that asks Ray, which blocks; whatever it meets is logged, and its age is shown",
    (
        "launch/training/later.py",
        "_run",
    ): "a thread that trains, which blocks; whatever it meets is said, and the next look tries",
    (
        "launch/zygote/spawn.py",
        "_keep_alive",
    ): "a thread; a failed start is tried again",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def bare_loops(tree: ast.Module) -> Iterator[str]:
    """Name the functions that are started beside their starter and loop for an unknown time."""
    looping = {
        each.name
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(isinstance(inner, ast.While) for inner in ast.walk(each))
    }
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and _name(call.func) in STARTERS:
            arguments = [*call.args, *(each.value for each in call.keywords)]
            for argument in arguments:
                target = argument.func if isinstance(argument, ast.Call) else argument
                if (name := _name(target)) in looping:
                    yield str(name)


def _name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return None


def test_nothing_loops_in_the_background_but_the_one_kind() -> None:
    found = {(path, name) for path, tree in sources() for name in bare_loops(tree)}
    assert found - ALLOWED.keys() == set(), "make it a step of a BackgroundLoop"
    assert ALLOWED.keys() - found == set(), "this exception is no longer needed"


@pytest.mark.parametrize(
    "start",
    [
        "asyncio.create_task(self._keep_up())",
        "create_task(self._keep_up(), name='x')",
        "asyncio.ensure_future(self._keep_up())",
        "threading.Thread(target=self._keep_up).start()",
        "group.create_task(self._keep_up())",
    ],
)
def test_a_bare_loop_would_be_found(start: str) -> None:
    loop = "class A:\n  async def _keep_up(self):\n    while True:\n      await self.step()\n"
    tree = ast.parse(f"{loop}  def start(self):\n    {start}\n")
    assert list(bare_loops(tree)) == ["_keep_up"]
