"""What was stored of late: for those who follow the telemetry and ask for what is new."""

from collections.abc import Iterable

from deployments.history.questions import PAST_INTERVALS, Newest, News
from deployments.telemetry.followed import Followed
from features.telemetry.columns import Telemetry


class NewestIntervals:
    """Knows each entity's newest interval since this process began."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._newest: dict[str, Newest] = {}
        self._count = 0

    def note(self, source: str, telemetry: Telemetry, cadence_seconds: int, known_ms: int) -> None:
        """Note rows that are stored now."""
        found = dict[str, int]()
        for entity, ts in zip(telemetry.entity.tolist(), telemetry.ts.tolist(), strict=True):
            found[entity] = max(ts, found.get(entity, ts))
        for entity, ts in found.items():
            before = self._newest.get(entity)
            if before is None or before.ts <= ts:
                self._newest[entity] = Newest(ts, cadence_seconds, known_ms / 1000, source)
        self._count += 1

    def forget(self, entities: Iterable[str]) -> None:
        """Forget entities of which nothing is stored any more."""
        for each in entities:
            self._newest.pop(each, None)
        self._count += 1

    def since(self, version: str, filling: frozenset[str]) -> News | None:
        """Give all that is known, unless it is what this version said."""
        now = f"{self._began}/{self._count}/{','.join(sorted(filling))}"
        return None if version == now else News(now, dict(self._newest), filling)


def is_filling(followed: Followed, now: float) -> bool:
    """Tell whether the past that streams begin with is still being fetched."""
    oldest = None if followed.stretch is None else followed.stretch.oldest
    wanted = now - PAST_INTERVALS * followed.cadence_seconds
    return followed.past_share < 1.0 and (oldest is None or oldest > wanted)
