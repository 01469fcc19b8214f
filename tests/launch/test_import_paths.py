from pathlib import Path
from typing import Any

import pytest

from launch import import_paths, serve_config
from launch.errors import ConfigFileError

SHIPPED = Path(__file__).parents[2] / "serve_config.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of modules, each of which would fail if it were imported."""
    files = {
        "plain.py": "app = 1 / 0\nfrom elsewhere import build as built",
        "parts/__init__.py": "raise ImportError",
        "parts/inner.py": "if 1 / 0:\n    class App: ...",
        "wide.py": "from parts.inner import *",
        "late.py": "def __getattr__(name): ...",
        "moved/__init__.py": "__path__ = []",
        "broken.py": "app = (",
    }
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    return tmp_path


def faults(folder: Path, path: str, **more: object) -> list[str]:
    config: dict[str, Any] = {"applications": [{"name": "a", "import_path": path, **more}]}
    return list(import_paths.faults(config, [str(folder)]))


@pytest.mark.parametrize(
    "path",
    [
        "deployments.app:app",
        "deployments.app.app",
        "plain:app",
        "plain:built",
        "parts.inner:App",
        "parts:inner",
        # Whether these have it is known to those who import them.
        "wide:anything",
        "late:anything",
        "moved.somewhere:app",
        "broken:app",
        "_struct:unpack",
        "sys:path",
    ],
)
def test_what_is_there_or_may_be_is_let_through(folder: Path, path: str) -> None:
    assert faults(folder, path) == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("deployments.app:ap", "deployments.app has no ap"),
        ("deployments.apps:app", "there is no module deployments.apps"),
        ("plain:ap", "plain has no ap"),
        ("plain.inner:app", "there is no module plain.inner"),
        ("nowhere.at.all:app", "there is no module nowhere"),
        ("parts:other", "parts has no other"),
        ("parts.inner.Ap", "parts.inner has no Ap"),
        ("plain:app:app", "as package.module:name"),
        ("plain", "as package.module:name"),
        ("plain.py:app-1", "as package.module:name"),
    ],
)
def test_what_is_not_there_is_refused(folder: Path, path: str, reason: str) -> None:
    (fault,) = faults(folder, path)
    assert fault.startswith(f"application a: import_path {path!r} cannot be used: ")
    assert reason in fault


def test_the_policies_of_an_application_are_judged_too(folder: Path) -> None:
    scaling = {"policy": {"policy_function": "parts.inner:Ap"}}
    found = faults(
        folder,
        "plain:app",
        autoscaling_policy={"policy_function": "plain:ap", "policy_kwargs": {}},
        deployments=[
            {"name": "one", "autoscaling_config": scaling},
            {"name": "two", "autoscaling_config": None},
            {"name": "three", "autoscaling_config": {"max_replicas": 2}},
        ],
    )
    assert [each.partition(" cannot be used: ") for each in found] == [
        (
            "application a: autoscaling_policy.policy_function 'plain:ap'",
            " cannot be used: ",
            "plain has no ap",
        ),
        (
            "deployment one: autoscaling_config.policy.policy_function 'parts.inner:Ap'",
            " cannot be used: ",
            "parts.inner has no Ap",
        ),
    ]


def test_serve_s_own_policy_is_let_through(folder: Path) -> None:
    own = {"policy_function": "ray.serve.autoscaling_policy:default_autoscaling_policy"}
    assert faults(folder, "plain:app", autoscaling_policy=own) == []


def test_an_application_that_brings_its_modules_is_not_judged(folder: Path) -> None:
    assert faults(folder, "nowhere:app", runtime_env={"working_dir": "https://x/y.zip"}) == []


def test_the_refusal_names_the_file_that_was_given(tmp_path: Path) -> None:
    config = serve_config.read(SHIPPED, "127.0.0.1", 8123)
    serve_config.check_imports(config, SHIPPED)
    config["applications"][0]["import_path"] = "deployments.app:ap"
    with pytest.raises(ConfigFileError, match=r"other\.yaml cannot be used: application ballast"):
        serve_config.check_imports(config, tmp_path / "other.yaml")
