"""The budget of false alarms, spent as time passes: so many a day over all streams together.

What has accrued since the last batch is shared out evenly among its observations. The sum of all
shares is the budget of the time that passed, whatever the load does, and by the alarm rule
(models/anomaly/alarms.py) no more alarms than that are false on average.
"""

from typing import Protocol

DAY = 86_400.0
# A quiet spell must not save up an alarm for the first observation after it.
MOST_SAVED_SECONDS = 60.0


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

    def share(self, observations: int, now: float, alarms_per_day: float) -> float:
        """Take what has accrued at this rate, as a share for each of these observations."""
        passed = min(max(now - self._since, 0.0), MOST_SAVED_SECONDS)
        self._since = max(now, self._since)
        accrued = passed / DAY * alarms_per_day / self.holders
        return min(accrued / max(observations, 1), 1.0)
