"""Makes suggestions, in the process beside the replica; earlier fits are kept to start from."""

from collections import OrderedDict
from typing import Any

from models.optimization.bayes.mixture import Hints
from models.optimization.bayes.snapshot import design_from
from models.optimization.bayes.study import Study, Trial
from models.optimization.bayes.suggest import suggest

KEPT_HINTS = 256
_hints: OrderedDict[str, Hints] = OrderedDict()


def suggested(
    name: str, design: dict[str, Any], trials: list[dict[str, Any]], ahead: list[list[Any]]
) -> dict[str, Any]:
    """Suggest for a study as it would be once the suggestions ahead of it were used."""
    found = Study(design_from(design), [_trial(**each) for each in trials])
    for parameters, gain in ahead:
        found.ask(parameters, gain)
    made = suggest(found, 0, _hints.pop(name, None))
    _hints[name] = made.hints
    while len(_hints) > KEPT_HINTS:
        _hints.popitem(last=False)
    return {
        "parameters": made.parameters,
        "source": made.source,
        "expected_improvement": made.expected_improvement,
        "acquisition": made.acquisition,
        "gain": made.gain,
    }


def _trial(values: list[float], constraints: list[float], **rest: Any) -> Trial:
    return Trial(values=tuple(values), constraints=tuple(constraints), **rest)
