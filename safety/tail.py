"""The policy that ships for the tail family: latency quantiles and what to do about them."""

from itertools import pairwise

from models.tail.plan import ACTIONS
from safety.fleets import most_workers
from safety.limits import Breach, Level, Range, Relation, WidthLimit
from safety.policy import FamilyPolicy
from safety.recipes import Multiple, Recipe, Threshold
from safety.rungs import Rungs

QUANTILES = ("p50_pred", "p95_pred", "p99_pred", "p999_pred")

# A latency above a minute is not a latency: every client on a trading platform has gone by then.
LONGEST_MS = 60_000.0
# Nor is one under a microsecond, which is less than a system call.
SHORTEST_MS = 0.001

# Latency under normal load is close to lognormal with a heavy tail: these multiples of the median
# cover the quantiles of a lognormal with sigma 1 (5.2, 10.2, 22), which is wider than a healthy
# service and so errs on the side of alarm.
FALLBACK_MULTIPLES = (1.5, 6.0, 12.0, 25.0)
# Taken as the median when the service has no baseline: a plausible order entry round trip.
BASELINE_MS = 20.0
# The interval around a p99 that no model made: wide enough that nobody reads precision into it.
FALLBACK_LOWER, FALLBACK_UPPER = 0.2, 2.5
# Without a model a breach is taken as likely when the fallback p99 is over the SLO, else as open.
BREACH_LIKELY, BREACH_OPEN = 0.9, 0.5
# Without a model, half of the traffic is as much as is shed on suspicion.
ADMIT_ON_SUSPICION = 0.5
# A quarter more workers rides out most surges and stays far under every cap.
FALLBACK_GROWTH = 1.25
# Taken as the fleet when nobody knows it: in line with the feature default.
FLEET = 10.0
LARGEST_FLEET = 10_000.0
# What autoscaling may ask for without a person.
MOST_AUTOSCALED = 50.0


def tail_policy() -> FamilyPolicy:
    most, no_growth = most_workers("autoscale_workers", MOST_AUTOSCALED)
    return FamilyPolicy(
        inputs=("load", "infra", "request_rate", "error_rate", "active_workers", "slo_ms"),
        outputs=(
            *QUANTILES,
            "lower",
            "upper",
            "breach_probability",
            "action",
            "autoscale_workers",
            "admit_fraction",
        ),
        codes={"action": ACTIONS},
        whole=("autoscale_workers",),
        ranges=(*_input_ranges(), *_output_ranges(), most),
        relations=(*_orders(), no_growth),
        widths=(_width(3.0, Level.WARNING), _width(10.0, Level.UNSAFE)),
        fallback=_fallback(),
        # A minute is how often a service is measured: its state is not known to be another one.
        rungs=Rungs(last_safe_seconds=60, same=("slo_ms",)),
    )


def _range(field: str, low: float | None, high: float | None, level: Breach, message: str) -> Range:
    return Range(field=field, low=low, high=high, level=level, message=message)


def _input_ranges() -> tuple[Range, ...]:
    return (
        _range("load", 0, None, Level.UNSAFE, "A load cannot be negative."),
        _range("infra", 0, None, Level.UNSAFE, "An infrastructure reading cannot be negative."),
        _range("request_rate", 0, None, Level.UNSAFE, "A request rate cannot be negative."),
        _range("error_rate", 0, 1, Level.UNSAFE, "An error rate is a fraction."),
        _range(
            "active_workers",
            1,
            LARGEST_FLEET,
            Level.UNSAFE,
            "The number of workers is not one that a fleet can have.",
        ),
        _range(
            "slo_ms",
            SHORTEST_MS,
            LONGEST_MS,
            Level.UNSAFE,
            "The SLO is outside the range of real latencies.",
        ),
    )


def _output_ranges() -> tuple[Range, ...]:
    latency = tuple(
        _range(
            field,
            SHORTEST_MS,
            LONGEST_MS,
            Level.UNSAFE,
            "The latency is outside the range of real latencies.",
        )
        for field in QUANTILES
    )
    return (
        *latency,
        _range(
            "lower",
            0,
            LONGEST_MS,
            Level.UNSAFE,
            "The latency is outside the range of real latencies.",
        ),
        _range(
            "upper",
            0,
            LONGEST_MS,
            Level.UNSAFE,
            "The latency is outside the range of real latencies.",
        ),
        _range("breach_probability", 0, 1, Level.CRITICAL, "A probability lies in [0, 1]."),
        _range("autoscale_workers", 1, None, Level.UNSAFE, "A service needs at least one worker."),
        Range(
            field="admit_fraction",
            low=0,
            high=1,
            above_low=True,
            level=Level.CRITICAL,
            message="An answer that admits no requests would itself take the platform down.",
        ),
    )


def _orders() -> tuple[Relation, ...]:
    quantiles = tuple(
        Relation(
            lesser=lesser,
            greater=greater,
            level=Level.UNSAFE,
            message="Quantiles may not cross.",
        )
        for lesser, greater in pairwise(QUANTILES)
    )
    return (
        *quantiles,
        Relation(
            lesser="lower",
            greater="upper",
            level=Level.UNSAFE,
            message="An interval's ends may not cross.",
        ),
    )


def _width(max_relative: float, level: Breach) -> WidthLimit:
    return WidthLimit(
        prediction="p99_pred",
        lower="lower",
        upper="upper",
        max_relative=max_relative,
        level=level,
        message="The interval is too wide to act on.",
    )


def _latency(field: str, of: str, times: float, otherwise: float) -> Multiple:
    return Multiple(
        field=field,
        of=of,
        times=times,
        otherwise=min(otherwise, LONGEST_MS),
        low=SHORTEST_MS,
        high=LONGEST_MS,
    )


def _on_breach(field: str, within: float, beyond: float) -> Threshold:
    return Threshold(field=field, of="p99_pred", over="slo_ms", within=within, beyond=beyond)


def _fallback() -> tuple[Recipe, ...]:
    quantiles = tuple(
        _latency(field, "baseline_ms", times, times * BASELINE_MS)
        for field, times in zip(QUANTILES, FALLBACK_MULTIPLES, strict=True)
    )
    return (
        *quantiles,
        _latency("lower", "p99_pred", FALLBACK_LOWER, BASELINE_MS),
        _latency("upper", "p99_pred", FALLBACK_UPPER, LONGEST_MS),
        _on_breach("breach_probability", BREACH_OPEN, BREACH_LIKELY),
        # With a breach in sight a person should look; without one, room is bought quietly.
        _on_breach("action", ACTIONS.index("scale_up"), ACTIONS.index("page")),
        _on_breach("admit_fraction", 1.0, ADMIT_ON_SUSPICION),
        Multiple(
            field="autoscale_workers",
            of="active_workers",
            times=FALLBACK_GROWTH,
            otherwise=FLEET,
            low=1.0,
            high=LARGEST_FLEET,
        ),
    )
