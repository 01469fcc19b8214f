"""The policy that ships for capacity: how far one forecast may move a fleet."""

from safety.fleets import most_workers
from safety.limits import Level, Range, Relation, Repair, WidthLimit
from safety.policy import FamilyPolicy
from safety.recipes import Multiple
from safety.rungs import Rungs
from safety.tail import FALLBACK_GROWTH, FLEET, LARGEST_FLEET

LARGEST_RATE = 1e9
# Room for a burst of every service; and what a service drains within seconds.
SHORTEST_QUEUE, LONGEST_QUEUE = 50.0, 10_000.0
# What a plan may ask for without a person.
MOST_WORKERS = 100.0
# Assumed where not even the present rate is known: the feature default.
RATE = 1000.0
# Of an answer that no model made: half to twice what is there now.
FALLBACK_LOWER, FALLBACK_UPPER = 0.5, 2.0
# A quarter of a second's work may wait: under every objective that a person would notice.
FALLBACK_WAIT_S = 0.25
# Overnight to open is a factor of some thirty on a trading platform; a hundred is a mistake.
MOST_GROWTH = 100.0
MARGIN_WORKERS = 100.0


def capacity_policy() -> FamilyPolicy:
    # Each hour of the answer's `workers` is judged as this column, the first of which it is.
    most, no_growth = most_workers(
        "next_hour_workers", MOST_WORKERS, least=1.0, said="an hour of `workers`"
    )
    return FamilyPolicy(
        inputs=("request_rate", "active_workers"),
        outputs=("next_hour_workers", "queue_capacity", "rate", "lower", "upper"),
        whole=("next_hour_workers", "queue_capacity"),
        ranges=(*_ranges(), most),
        relations=(*_relations(), no_growth),
        widths=(
            WidthLimit(
                prediction="rate",
                lower="lower",
                upper="upper",
                max_relative=3.0,
                level=Level.WARNING,
                message="The interval is too wide to act on.",
            ),
        ),
        fallback=_fallback(),
        # A fleet for the next hour is not another one five minutes later.
        rungs=Rungs(last_safe_seconds=300, same=("slo_ms",)),
    )


def _range(field: str, low: float, high: float | None, message: str) -> Range:
    return Range(field=field, low=low, high=high, level=Level.UNSAFE, message=message)


def _ranges() -> tuple[Range, ...]:
    rates = tuple(
        _range(field, 0, LARGEST_RATE, "The request rate is higher than any service's.")
        for field in ("rate", "lower", "upper")
    )
    return (
        _range("request_rate", 0, LARGEST_RATE, "The request rate is higher than any service's."),
        _range(
            "active_workers",
            1,
            LARGEST_FLEET,
            "The number of workers is not one that a fleet can have.",
        ),
        *rates,
        Range(
            field="queue_capacity",
            low=SHORTEST_QUEUE,
            high=LONGEST_QUEUE,
            level=Level.UNSAFE,
            repair=Repair.CLAMP,
            message="A queue so short drops bursts, and one so long answers too late.",
        ),
        Range(
            field="next_hour_workers",
            low=1,
            high=LARGEST_FLEET,
            level=Level.UNSAFE,
            repair=Repair.CLAMP,
            message="The number of workers is not one that a fleet can have.",
        ),
    )


def _relations() -> tuple[Relation, ...]:
    return (
        Relation(
            lesser="lower",
            greater="upper",
            level=Level.UNSAFE,
            message="An interval's ends may not cross.",
        ),
        Relation(
            lesser="next_hour_workers",
            greater="active_workers",
            factor=MOST_GROWTH,
            margin=MARGIN_WORKERS,
            level=Level.UNSAFE,
            repair=Repair.CLAMP,
            message="The fleet would grow by more than one forecast may cause.",
        ),
    )


def _fallback() -> tuple[Multiple, ...]:
    def rate(field: str, of: str, times: float) -> Multiple:
        return Multiple(
            field=field, of=of, times=times, otherwise=RATE * times, low=0.0, high=LARGEST_RATE
        )

    return (
        rate("rate", "request_rate", 1.0),
        rate("lower", "rate", FALLBACK_LOWER),
        rate("upper", "rate", FALLBACK_UPPER),
        Multiple(
            field="next_hour_workers",
            of="active_workers",
            times=FALLBACK_GROWTH,
            otherwise=FLEET,
            low=1.0,
            high=LARGEST_FLEET,
        ),
        Multiple(
            field="queue_capacity",
            of="rate",
            times=FALLBACK_WAIT_S,
            otherwise=RATE * FALLBACK_WAIT_S,
            low=SHORTEST_QUEUE,
            high=LONGEST_QUEUE,
        ),
    )
