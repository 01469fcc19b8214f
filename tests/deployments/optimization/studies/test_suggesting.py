from dataclasses import asdict
from typing import Any

import pytest

from deployments.optimization.studies.suggesting import suggested
from models.optimization.bayes.snapshot import design_from
from models.optimization.bayes.study import Study

SPACE: dict[str, Any] = {"x": {"type": "float", "low": -5.0, "high": 10.0}}
LIST = [{"x": round(-5 + 0.37 * at, 2)} for at in range(40)]


@pytest.mark.parametrize("sought", [1, 5])
def test_a_candidate_comes_as_it_was_listed(sought: int) -> None:
    design = {"space": SPACE, "candidates": LIST, "sought": sought, "starts": 5}
    study = Study.start(design_from(design))
    for each in LIST[::8]:
        study.add(each, [(each["x"] - 2) ** 2])
    ahead = list[list[Any]]()
    for _ in range(3):
        made = suggested("s", design, [asdict(each) for each in study.trials], ahead)
        assert made["source"] == "model"
        assert made["parameters"] in LIST
        ahead.append([made["parameters"], made["gain"]])
    asked = [each["x"] for each, _ in ahead]
    assert len({*asked, *(each["x"] for each in LIST[::8])}) == 8
