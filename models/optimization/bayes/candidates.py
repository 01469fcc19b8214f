"""Studies that choose from a list: which of its entries were not asked for yet."""

from collections.abc import Mapping

import orjson

from models.errors import TrialError
from models.optimization.bayes.parameters import Value
from models.optimization.bayes.study import Study


def untried(study: Study) -> list[int]:
    """List the numbers of the candidates left; TrialError when none is."""
    tried = {key_of(trial.parameters) for trial in study.trials}
    left = [
        number for number, each in enumerate(study.design.candidates) if key_of(each) not in tried
    ]
    if not left:
        raise TrialError(f"all {len(study.design.candidates)} candidates have been suggested")
    return left


def key_of(parameters: Mapping[str, Value]) -> bytes:
    """Tell parameters apart, by their values as the space has them."""
    # A copy: what orjson gives keeps the 4 kB that it was written in for as long as it lives.
    return bytes(memoryview(orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)))
