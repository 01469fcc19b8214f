"""The process that answers is begun before anything else is imported, and ends with its parent."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
# Its imports are what `make dev` waits for: whatever is imported before it is begun comes on top.
STARTS_FIRST = """
import sys
from launch.dev import __main__, answering
print(*sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)))
"""
PARENT = """
import os, socket, sys
from launch.dev import answering
answering.MODULE = "tests.launch.dev.small_answering"
begun = answering.Answering()
begun.start()
if "go" in sys.argv:
    begun.go(socket.create_server(("127.0.0.1", 0)))
os._exit(0)
"""


def output(program: str, *arguments: str) -> list[str]:
    """Run it to the end of everything that holds its output: of the process it started too."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_nothing_large_is_imported_before_it_is_begun() -> None:
    assert set(output(STARTS_FIRST)) <= {"launch", "__main__"} | _of_the_interpreter()


def test_it_is_handed_the_socket_and_sees_the_end_of_whoever_started_it() -> None:
    assert output(PARENT, "go") == ["begun", "listening", "ended"]


def test_it_ends_where_it_is_handed_none() -> None:
    assert output(PARENT) == ["begun"]


def _of_the_interpreter() -> set[str]:
    """Name what is imported at every start, as by files in site-packages."""
    return set(output("import sys; print(*{name.partition('.')[0] for name in sys.modules})"))
