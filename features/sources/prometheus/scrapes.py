"""How often a Prometheus scrapes, and since when: what tells a young one from one that is slow."""

import math
from dataclasses import dataclass

from features.sources.prometheus.api import PrometheusApi

LOOKBACK_SECONDS = 3600
# Where a few samples lie in these seconds, they tell better: processes come and go.
_LATELY_SECONDS, _FEW = 600, 4
# In seconds: what is found within a scrape of the usual interval.
_STEP = 15
# A configuration takes no longer cadence, and none but multiples of these seconds.
_LONGEST_CADENCE, _UNIT = 3600, 15
# A rate takes two samples in an interval; with four it also bears a scrape that failed.
SAMPLES, ENOUGH = 2, 4
# Nobody scrapes to the second.
_NEARLY = 1.05


@dataclass(frozen=True, slots=True)
class Scrapes:
    """What is known of one series' samples in the last hour."""

    name: str
    every_seconds: float  # NaN where there is one sample only
    age_seconds: float  # of the first one

    def advice(self, cadence_seconds: int) -> str:
        """Say why rates have no value in an interval, and what to do; empty where it is not this.

        An end of a sentence that begins with who it is said of.
        """
        if self.every_seconds * SAMPLES > cadence_seconds * _NEARLY:
            longer = round(self.every_seconds * ENOUGH / _UNIT) * _UNIT
            return (
                f"is scraped every {self.every_seconds:.0f} s, and a rate takes {SAMPLES} samples "
                f"in each interval, which has {cadence_seconds} s: give --cadence "
                f"{min(longer, _LONGEST_CADENCE)}"
            )
        if self.age_seconds < 2 * cadence_seconds:
            left = 2 * cadence_seconds - self.age_seconds
            return (
                f"has been scraped for {self.age_seconds:.0f} s only, and a rate takes "
                f"{SAMPLES} samples in a whole interval of {cadence_seconds} s: run the command "
                f"again in {max(left, _UNIT):.0f} s"
            )
        return ""


async def scrapes_of(api: PrometheusApi, name: str, at: int) -> Scrapes | None:
    """Look at the samples of a name up to a time; None where there are none."""
    found = await api.query_range(f"count({name})", at - LOOKBACK_SECONDS, at, _STEP)
    times = [float(each.at[0]) for each in found if len(each.at)]
    if not times:
        return None
    age = at - min(times)
    for seconds in (_LATELY_SECONDS, LOOKBACK_SECONDS):
        samples = await _most(api, name, seconds, at)
        if samples >= _FEW:
            break
    if age >= seconds:
        return Scrapes(name, seconds / samples if samples else math.nan, age)
    return Scrapes(name, age / (samples - 1) if samples > 1 else math.nan, age)


async def _most(api: PrometheusApi, name: str, seconds: int, at: int) -> float:
    """Count the samples of the series that has most of them."""
    found = await api.query(f"max(count_over_time({name}[{seconds}s]))", at)
    return found[0].value if found else 0.0
