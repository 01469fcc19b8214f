"""Bayesian optimisation for Ray Tune: a study behind Tune's `Searcher`.

Tune calls it from its controller's loop, so nothing is fitted there: after each completion the
next suggestion is prepared on a thread, and while it is not ready Tune is told to come back. Only
when nothing runs at all, and the controller has nothing else to do, is it waited for.
"""

import base64
import math
from pathlib import Path
from typing import Any

import orjson
from ray.tune.search import Searcher

from models.errors import ArtifactError, StudyError
from models.optimization.bayes.snapshot import decode, encode
from models.optimization.bayes.space import Space
from models.optimization.bayes.study import Design, Direction, Study
from tuning.next_suggestion import NextSuggestion
from tuning.search_space import flat, nested, space_of

FORMAT = 1
_DIRECTIONS: dict[str, Direction] = {"min": "minimise", "max": "maximise"}


class BayesSearch(Searcher):  # type: ignore[misc]
    """Searches where a Gaussian process expects most: `tune.TuneConfig(search_alg=BayesSearch())`.

    Space, metric and mode come from the Tuner where they are left out. Several metrics, as lists,
    are traded off against each other.
    """

    def __init__(
        self, space: dict[str, Any] | Space | None = None, metric: str | list[str] | None = None,
        mode: str | list[str] | None = None, *, seed: int = 0, starts: int = 5,
        max_concurrent: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(metric=metric, mode=mode)
        self._metric: str | list[str] | None = metric
        self._mode: str | list[str] | None = mode
        self._seed, self._starts, self._most = seed, starts, max_concurrent
        self._space = space_of(space) if isinstance(space, dict) else space
        self._study: Study | None = None
        self._numbers: dict[str, int] = {}
        self._next = NextSuggestion()
        self._begin()

    def set_search_properties(
        self, metric: str | list[str] | None, mode: str | list[str] | None,
        config: dict[str, Any], **_: Any,
    ) -> bool:  # fmt: skip
        if self._study is not None:
            return False
        self._metric, self._mode = metric or self._metric, mode or self._mode
        self._space = self._space or space_of(config)
        self._begin()
        return True

    @property
    def study(self) -> Study:
        """The trials so far; StudyError before metric, mode and space are known."""
        if self._study is None:
            raise StudyError(
                "the search needs a space, a metric and a mode: give them to the Tuner"
            )
        return self._study

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        live = len(self.study.pending())
        if self._most and live >= self._most:
            return None
        suggestion = self._next.take(self.study, wait=not live)
        if suggestion is None:
            return None
        trial = self.study.ask(suggestion.parameters, suggestion.gain)
        self._numbers[trial_id] = trial.number
        self._next.prepare(self.study)
        return nested(suggestion.parameters)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        number = self._numbers.pop(trial_id, None)
        if number is None:
            return
        values = None if error else self._values(result or {})
        self.study.tell(number, values or (), failed=values is None)
        self._next.prepare(self.study)

    def add_evaluated_point(
        self, parameters: dict[str, Any], value: float, error: bool = False, pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:  # fmt: skip
        del intermediate_values  # a study knows outcomes only
        failed = error or pruned or not math.isfinite(value)
        outcome = () if failed else (float(value),)
        self.study.add(flat(parameters, self.study.design.space), outcome, failed=failed)
        self._next.prepare(self.study)

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        self._most = max_concurrent
        return True

    def save(self, checkpoint_path: str) -> None:
        study = base64.b64encode(encode(self.study)).decode()
        whole = {"format": FORMAT, "metric": self._metric, "mode": self._mode,
                 "running": self._numbers, "study": study}  # fmt: skip
        Path(checkpoint_path).write_bytes(orjson.dumps(whole))

    def restore(self, checkpoint_path: str) -> None:
        """Go on from what `save` wrote; trials that were running are still expected."""
        try:
            whole = orjson.loads(Path(checkpoint_path).read_bytes())
            if whole["format"] != FORMAT:
                raise ArtifactError(
                    f"{checkpoint_path} has format {whole['format']}, which this release "
                    "cannot read"
                )
            self._study = decode(base64.b64decode(whole["study"]))
            self._metric, self._mode = whole["metric"], whole["mode"]
            self._numbers = dict(whole["running"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"{checkpoint_path} does not contain a search: {error!r}"
            ) from error
        self._space = self._study.design.space
        self._next = NextSuggestion()

    def _begin(self) -> None:
        if self._space is None or not self._metric or not self._mode:
            return
        goals = tuple(_DIRECTIONS[mode] for mode in _listed(self._mode))
        self._study = Study.start(Design(self._space, goals, seed=self._seed, starts=self._starts))

    def _values(self, result: dict[str, Any]) -> list[float] | None:
        found = [result.get(metric) for metric in _listed(self._metric)]
        numbers = [float(each) for each in found if isinstance(each, int | float)]
        whole = len(numbers) == len(found) and all(map(math.isfinite, numbers))
        return numbers if whole else None


def _listed(one_or_more: Any) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else list(one_or_more)
