"""Studies that choose from a list: which of its entries were not asked for yet."""

import orjson

from models.optimization.bayes.errors import TrialError
from models.optimization.bayes.study import Study


def untried(study: Study) -> list[int]:
    """List the numbers of the candidates left; TrialError when none is."""
    tried = {_key(trial.parameters) for trial in study.trials}
    left = [
        number for number, each in enumerate(study.design.candidates) if _key(each) not in tried
    ]
    if not left:
        raise TrialError(f"all {len(study.design.candidates)} candidates were asked for")
    return left


def _key(parameters: object) -> bytes:
    return orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)
