"""The next suggestion, prepared on a thread while trials run; only the newest study's counts."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from models.optimization.bayes.mixture import Hints
from models.optimization.bayes.study import Study
from models.optimization.bayes.suggest import Suggestion, suggest


class NextSuggestion:
    """Holds one suggestion at most; pickled, it is empty."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="suggestion")
        self._coming: Future[Suggestion] | None = None
        self._hints: Hints = {}

    def prepare(self, study: Study) -> None:
        """Begin anew, for the study as it stands now."""
        if self._coming is not None:
            self._coming.cancel()
        frozen = Study(study.design, list(study.trials))
        self._coming = self._thread.submit(suggest, frozen, 0, self._hints)

    def take(self, study: Study, *, wait: bool) -> Suggestion | None:
        """Take what is prepared; None when it is not ready and one would rather not wait."""
        if self._coming is None:
            self.prepare(study)
        if self._coming is None or not (wait or self._coming.done()):
            return None
        coming, self._coming = self._coming, None
        suggestion = coming.result()
        self._hints = suggestion.hints
        return suggestion

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, _: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
