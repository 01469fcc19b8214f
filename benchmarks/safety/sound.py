"""Policies in which nothing is wrong: those that ship, and ones that use all that can be said."""

from dataclasses import dataclass

from benchmarks.safety.fleet import (
    Written,
    constant,
    fleet,
    limit,
    recipe,
    shipped,
    when,
    without,
)
from safety.shipped import default_policy

MARKET_SHUT = when("time.market_open", "==", 0)
# The longest latency that the shipped policy takes for one, and half of it.
LONGEST, HALF = 60_000.0, 30_000.0
FROZEN = when("time.frozen", "==", 1)


@dataclass(frozen=True, slots=True)
class Sound:
    """One policy that a check must pass."""

    name: str
    family: str
    policy: Written

    def written(self) -> Written:
        return {"families": {self.family: self.policy}}


def with_more(family: str, **lists: list[Written]) -> Written:
    """Give a policy that ships, with these limits more."""
    policy = shipped(family)
    return policy | {name: [*policy.get(name, []), *more] for name, more in lists.items()}


def of_release() -> list[Sound]:
    return [Sound(f"shipped: {name}", name, shipped(name)) for name in default_policy().families]


def for_experiments() -> list[Sound]:
    """Give policies of bandits and studies."""
    lowered = shipped("bandit")
    lowered = without(lowered, "ranges", "canary_percentage") | {
        "ranges": [
            *without(lowered, "ranges", "canary_percentage")["ranges"],
            limit(field="canary_percentage", low=0, high=5),
        ]
    }
    return [
        Sound("half of the canary", "bandit", lowered),
        Sound(
            "no canary while nothing may change",
            "bandit",
            with_more(
                "bandit",
                ranges=[limit(field="canary_percentage", high=0, repair="clamp", when=FROZEN)],
            ),
        ),
        Sound(
            "trials within bounds, and one choice of two",
            "bayes-opt",
            with_more(
                "bayes-opt",
                ranges=[
                    limit(field="parameter.rate", low=1e-5, high=1, repair="clamp"),
                    limit(field="parameter.depth", low=1, high=12, repair="refuse"),
                ],
                relations=[
                    limit(
                        lesser="parameter.depth",
                        greater="parameter.leaves",
                        factor=0.5,
                        repair="refuse",
                    )
                ],
            )
            | {"codes": {"parameter.loss": ["squared", "absolute"]}},
        ),
    ]


def for_fleets() -> list[Sound]:
    """Give policies of the families that ship and move a fleet."""
    failing = when("error_rate", ">", 0.05)
    queues = without(shipped("capacity"), "ranges", "queue_capacity")
    shorter = shipped("tail")
    shorter = shorter | {
        "ranges": [
            each | {"high": HALF} if each["high"] == LONGEST else each for each in shorter["ranges"]
        ],
        "fallback": [
            each
            | {
                "high": min(each["high"], HALF),
                "otherwise": min(each["otherwise"], HALF),
            }
            if each["kind"] == "multiple" and each["field"] != "autoscale_workers"
            else each
            for each in shorter["fallback"]
        ],
    }
    return [
        Sound("latencies up to half a minute", "tail", shorter),
        Sound(
            "thirty workers, as long as the caps can lead there",
            "tail",
            with_more(
                "tail",
                ranges=[
                    limit(
                        field="autoscale_workers",
                        high=30,
                        repair="clamp",
                        when=when("active_workers", "<=", 40),
                    )
                ],
            ),
        ),
        Sound(
            "something is done while errors are high",
            "tail",
            with_more(
                "tail",
                forbidden=[
                    limit(
                        name="act-while-failing",
                        when={"all": [failing, when("action", "==", "none")]},
                    )
                ],
            ),
        ),
        Sound(
            "a jump of the tail is a warning",
            "tail",
            with_more("tail", changes=[limit("warning", field="p99_pred", rise_share=5, rise=10)]),
        ),
        Sound(
            "queues of a real size",
            "capacity",
            queues
            | {
                "ranges": [
                    *queues["ranges"],
                    limit(field="queue_capacity", low=100, high=5_000, repair="clamp"),
                ]
            },
        ),
        Sound(
            "no growth while nothing may change",
            "capacity",
            with_more(
                "capacity",
                relations=[
                    limit(
                        lesser="next_hour_workers",
                        greater="active_workers",
                        repair="clamp",
                        when=FROZEN,
                    )
                ],
            ),
        ),
        Sound(
            "a queue that moves by half at a time",
            "capacity",
            with_more(
                "capacity",
                changes=[
                    limit(
                        field="queue_capacity",
                        rise=10,
                        rise_share=0.5,
                        fall=10,
                        fall_share=0.5,
                        repair="clamp",
                    )
                ],
            ),
        ),
        Sound(
            "forecasts of what cannot be negative",
            "forecast",
            with_more(
                "forecast",
                ranges=[
                    limit(field=field, low=0, repair="clamp")
                    for field in ("value", "lower", "upper")
                ],
            ),
        ),
    ]


def of_a_fleet() -> list[Sound]:
    """Give policies with one more of each thing that can be said."""

    def sound(name: str, policy: Written) -> Sound:
        return Sound(name, "fleet", policy)

    return [
        sound("one of each limit", fleet()),
        sound(
            "admission that moves with time",
            fleet(
                changes=[limit(field="admit", rise=0.2, fall=0.5, per_seconds=60, repair="clamp")]
            ),
        ),
        sound(
            "a small fleet while the market is shut",
            fleet(ranges=[limit(field="workers", high=20, repair="clamp", when=MARKET_SHUT)]),
        ),
        sound(
            "no shrinking while errors may be high",
            fleet(
                forbidden=[
                    limit(
                        name="no-shrinking",
                        repair="refuse",
                        when={
                            "all": [
                                when("error_rate", ">", 0.2, if_missing=True),
                                when("action", "==", "scale_down"),
                            ]
                        },
                    )
                ]
            ),
        ),
        sound(
            "a wait that calls for emergency mode",
            fleet(
                ranges=[
                    limit(
                        "critical",
                        field="wait_ms",
                        high=50_000,
                        repair="emergency",
                        when={
                            "any": [
                                when("load", ">", 10),
                                {"all": [when("error_rate", ">", 0.5), MARKET_SHUT]},
                            ]
                        },
                    )
                ]
            ),
        ),
        sound(
            "half of what there is, while that is possible",
            fleet(
                relations=[
                    limit(
                        lesser="active",
                        greater="workers",
                        factor=2,
                        repair="clamp",
                        when=when("active", "<=", 150),
                    )
                ]
            ),
        ),
        sound(
            "warnings that are acted on",
            recipe(fleet(), "upper", times=1.5) | {"responses": {"warning": "substitute"}},
        ),
        sound(
            "an interval whose recipe is too wide, where none is used",
            recipe(fleet(), "upper", times=6) | {"rungs": {"baseline": False}},
        ),
        sound(
            "a limit on trial",
            fleet(ranges=[limit("safe", field="workers", high=5)]),
        ),
        sound(
            "as many as admitted load needs",
            constant(fleet(), "admit", 0.5)
            | {"caps": {"min_admit_fraction": 0.2, "max_scale_factor": 3}},
        ),
    ]


def sound() -> list[Sound]:
    """Give all of them."""
    return [*of_release(), *for_experiments(), *for_fleets(), *of_a_fleet()]
