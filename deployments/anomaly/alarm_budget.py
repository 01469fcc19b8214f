"""The budget of false alarms, spent as time passes: so many a day over all streams together.

What has accrued since the last batch is shared out evenly among its observations. The sum of all
shares is the budget of the time that passed, whatever the load does, and by the alarm rule
(models/anomaly/alarms.py) no more alarms than that are false on average.

A quiet spell must not save up an alarm for the first observation after it. What is quiet depends on
how batches come: a platform of one stream with a value an hour saves an hour's budget for each, or
most of it would never be spent. So as much is saved as accrues in two of the usual pauses, and in a
minute at the least: one value may fail to come. The usual pause is the one that a moment taken at
random lies in: ten streams that report together on the hour have ten pauses in it, and it is the
long one that is saved over.
"""

from typing import Protocol

DAY = 86_400.0
LEAST_SAVED_SECONDS = 60.0
MOST_PAUSES = 2.0
"""So many usual pauses are saved over."""
MOST_LONGER = 4.0
"""So many times the usual pause is all that one pause counts for: an outage is not usual."""
MEMORY = 8.0
"""The usual pause goes back about so many of them."""


class Budget(Protocol):
    """What observations may spend on alarms."""

    def share(self, observations: int, now: float, alarms_per_day: float) -> float:
        """Give the share of each of these observations."""
        ...


class AlarmBudget:
    """One replica's part of the budget."""

    def __init__(self, now: float) -> None:
        # Replicas that share the budget; the round that counts them says how many there are.
        self.holders = 1
        self._since = now
        self._usual = 0.0

    def share(self, observations: int, now: float, alarms_per_day: float) -> float:
        """Take what has accrued at this rate, as a share for each of these observations."""
        paused = max(now - self._since, 0.0)
        self._since = max(now, self._since)
        passed = min(paused, max(LEAST_SAVED_SECONDS, MOST_PAUSES * self._usual))
        self._learn(paused)
        accrued = passed / DAY * alarms_per_day / self.holders
        return min(accrued / max(observations, 1), 1.0)

    def _learn(self, paused: float) -> None:
        """Move the usual pause towards this one, by how long it was."""
        about = max(self._usual, LEAST_SAVED_SECONDS)
        counted = min(paused, MOST_LONGER * about)
        self._usual += min(1.0, counted / (MEMORY * about)) * (counted - self._usual)
