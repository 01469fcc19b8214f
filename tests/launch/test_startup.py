import os
import subprocess
import sys

import pytest

from launch.cluster import STARTUP, python_path

CODE = """
import sys
from ray.serve._private import utils
assert utils.pd is {serve}, utils.pd
assert ("pandas" in sys.modules) is {there}
import pandas
assert pandas.DataFrame({{"a": [1]}}).a[0] == 1
"""


@pytest.mark.parametrize("inside", [True, False])
def test_serve_starts_without_pandas_and_others_have_it(inside: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["RAY_AUTH_MODE"] = "token"
    if inside:
        environment["PYTHONPATH"] = python_path(None)
    code = CODE.format(serve="None" if inside else "sys.modules['pandas']", there=not inside)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_the_user_has_on_the_path_stays_there() -> None:
    assert python_path("/opt/lib").split(os.pathsep) == [str(STARTUP), "/opt/lib"]
