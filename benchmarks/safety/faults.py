"""Faults as people write them into policies, each with the kind that a check must find."""

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
from safety.proofs.findings import Kind


@dataclass(frozen=True, slots=True)
class Fault:
    """One policy in which something is wrong."""

    name: str
    kind: Kind
    rule: str  # the limit that is to blame, by its name or its place
    family: str
    policy: Written
    active: Written | None = None

    def written(self) -> Written:
        return {"families": {self.family: self.policy}}


def contradictions() -> list[Fault]:
    """Give limits that no answer keeps, ever or with some inputs."""

    def fault(name: str, rule: str, policy: Written, family: str = "fleet") -> Fault:
        return Fault(name, Kind.CONTRADICTION, rule, family, policy)

    calm, mad = when("error_rate", ">", 0.05), when("error_rate", ">", 0.1)
    return [
        fault(
            "two ranges that do not meet",
            "range:wait_ms",
            fleet(ranges=[limit(field="wait_ms", low=70_000)]),
        ),
        fault(
            "bounds the wrong way round",
            "ranges[7]",
            fleet(ranges=[limit(field="wait_ms", low=50, high=5)]),
        ),
        fault(
            "an interval whose ends must cross",
            "relation:upper<=lower-5",
            fleet(relations=[limit(lesser="upper", greater="lower", margin=-5)]),
        ),
        fault(
            "a fleet too small for the step that the caps allow",
            "range:autoscale_workers",
            shipped("tail")
            | {
                "ranges": [
                    *shipped("tail")["ranges"],
                    limit(field="autoscale_workers", high=30, repair="clamp"),
                ]
            },
            "tail",
        ),
        fault(
            "two conditions that overlap",
            "range:admit",
            fleet(
                ranges=[
                    limit(field="admit", high=0.5, when=calm, repair="clamp"),
                    limit(field="admit", low=0.8, when=mad, repair="clamp"),
                ]
            ),
        ),
        fault(
            "a width too narrow for the distance of its ends",
            "width:wait_ms",
            fleet(
                ranges=[limit(field="wait_ms", high=10)],
                relations=[limit(lesser="lower", greater="upper", margin=-50)],
            ),
        ),
        fault(
            "every action forbidden while errors are high",
            "never-while-failing",
            fleet(
                forbidden=[
                    limit(
                        name="never-while-failing",
                        when={
                            "all": [
                                when("error_rate", ">", 0.5),
                                {
                                    "any": [
                                        when("action", "!=", "none"),
                                        when("workers", "<=", 100),
                                    ]
                                },
                            ]
                        },
                    )
                ]
            ),
        ),
    ]


def unknown_fields() -> list[Fault]:
    """Give names that the family does not have, and a name that is left out."""

    def fault(name: str, rule: str, policy: Written, family: str = "fleet") -> Fault:
        return Fault(name, Kind.UNKNOWN_FIELD, rule, family, policy)

    tail = shipped("tail")
    return [
        fault(
            "a range on a misspelt field", "ranges[7]", fleet(ranges=[limit(field="wait", low=0)])
        ),
        fault(
            "a condition on a misspelt field",
            "ranges[7]",
            fleet(ranges=[limit(field="workers", high=50, when=when("eror_rate", ">", 0.5))]),
        ),
        fault(
            "a choice that there is not",
            "forbidden[0]",
            fleet(forbidden=[limit(name="no-shrink", when=when("action", "==", "shrink"))]),
        ),
        fault(
            "a recipe that reads a misspelt field",
            "fallback[0]",
            recipe(tail, "p50_pred", of="basline_ms"),
            "tail",
        ),
        fault(
            "an input that nobody fills",
            "inputs",
            tail | {"inputs": [*tail["inputs"], "queue_depth_ms"]},
            "tail",
        ),
        fault(
            "an answer that is left out",
            "outputs",
            without(
                tail
                | {"outputs": [each for each in tail["outputs"] if each != "breach_probability"]},
                "fallback",
                "breach_probability",
            )
            | {"ranges": without(tail, "ranges", "breach_probability")["ranges"]},
            "tail",
        ),
    ]


def fallbacks() -> list[Fault]:
    """Give fallbacks that break the policy which they stand in for."""

    def fault(name: str, rule: str, policy: Written, family: str = "fleet") -> Fault:
        return Fault(name, Kind.FALLBACK_BREAKS, rule, family, policy)

    tail = shipped("tail")
    failing = when("error_rate", ">", 0.05)
    return [
        fault("a constant outside its range", "range:admit", constant(fleet(), "admit", 1.5)),
        fault(
            "quantiles that cross",
            "relation:p50_pred<=p95_pred",
            recipe(tail, "p95_pred", times=0.5),
            "tail",
        ),
        fault(
            "quantiles that cross where nothing is known",
            "relation:p95_pred<=p99_pred",
            recipe(tail, "p99_pred", otherwise=100),
            "tail",
        ),
        fault(
            "an interval cut short at its upper end",
            "relation:lower<=upper",
            recipe(fleet(), "upper", high=1000, otherwise=200),
        ),
        fault(
            "an interval too wide to act on",
            "width:wait_ms",
            recipe(fleet(), "upper", times=6),
        ),
        fault(
            "constants alone, of which two are far apart",
            "width:wait_ms",
            recipe(fleet(), "upper", otherwise=1000) | {"rungs": {"baseline": False}},
        ),
        fault(
            "a count rounded up over its range",
            "range:workers",
            constant(
                without(fleet(), "ranges", "workers")
                | {
                    "ranges": [
                        *without(fleet(), "ranges", "workers")["ranges"],
                        limit(field="workers", low=1, high=10.5),
                    ]
                },
                "workers",
                10.2,
            ),
        ),
        fault(
            "a share of nothing where the load is not known",
            "range:admit",
            fleet()
            | {
                "fallback": [
                    each
                    if each["field"] != "admit"
                    else {
                        "kind": "threshold",
                        "field": "admit",
                        "of": "load",
                        "over": "slo_ms",
                        "within": 1,
                        "beyond": 0,
                    }
                    for each in fleet()["fallback"]
                ]
            },
        ),
        fault(
            "full admission while it shall be halved",
            "range:admit",
            fleet(ranges=[limit(field="admit", high=0.5, when=failing)]),
        ),
        fault(
            "full admission that only a clamp on trial would halve",
            "range:admit",
            fleet(
                ranges=[
                    limit("safe", field="admit", high=0.5, repair="clamp"),
                    limit(field="admit", high=0.5, when=failing),
                ]
            ),
        ),
        fault(
            "an action that is forbidden while errors are high",
            "no-growth-while-failing",
            fleet(
                forbidden=[
                    limit(
                        name="no-growth-while-failing",
                        when={"all": [failing, when("action", "==", "scale_up")]},
                    )
                ]
            ),
        ),
        fault(
            "a fleet that no clamp brings down while the market is shut",
            "range:workers",
            fleet(ranges=[limit(field="workers", high=8, when=when("time.market_open", "==", 0))]),
        ),
    ]


def never_firing() -> list[Fault]:
    """Give limits that nothing can break."""

    def fault(name: str, rule: str, policy: Written) -> Fault:
        return Fault(name, Kind.NEVER_FIRES, rule, "fleet", policy)

    def capped(condition: Written) -> Written:
        return fleet(ranges=[limit(field="workers", high=50, repair="clamp", when=condition)])

    return [
        fault(
            "a condition that excludes itself",
            "range:workers",
            capped({"all": [when("error_rate", ">", 0.5), when("error_rate", "<", 0.1)]}),
        ),
        fault(
            "an hour that no day has", "range:workers", capped(when("time.hour_of_day", ">", 25))
        ),
        fault(
            "a market both open and shut",
            "range:workers",
            capped(
                {
                    "all": [
                        when("time.market_open", "==", 1),
                        {"any": [when("time.market_open", "==", 0)]},
                    ]
                }
            ),
        ),
        fault(
            "two actions at once",
            "both",
            fleet(
                forbidden=[
                    limit(
                        name="both",
                        when={
                            "all": [
                                when("action", "==", "scale_up"),
                                when("action", "==", "scale_down"),
                            ]
                        },
                    )
                ]
            ),
        ),
        fault(
            "a bound at the largest number",
            "range:wait_ms",
            fleet(ranges=[limit("warning", field="wait_ms", high=1.7976931348623157e308)]) | {},
        ),
        fault(
            "a field that shall be over a bound where it is under it",
            "range:wait_ms",
            fleet(ranges=[limit("warning", field="wait_ms", low=5, when=when("wait_ms", ">", 10))]),
        ),
    ]


def shadowed() -> list[Fault]:
    """Give limits that others as strict stand before."""

    def fault(name: str, rule: str, policy: Written, family: str = "fleet") -> Fault:
        return Fault(name, Kind.SHADOWED, rule, family, policy)

    tail = shipped("tail")
    return [
        fault(
            "a wider range at the same level",
            "range:wait_ms",
            fleet(ranges=[limit(field="wait_ms", high=90_000)]),
        ),
        fault(
            "a relation that the caps are stricter than",
            "relation:autoscale_workers<=4*active_workers",
            tail
            | {
                "relations": [
                    *tail["relations"],
                    limit(
                        lesser="autoscale_workers",
                        greater="active_workers",
                        factor=4,
                        repair="clamp",
                    ),
                ]
            },
            "tail",
        ),
        fault(
            "the same limit twice",
            "relation:lower<=upper",
            fleet(relations=[limit(lesser="lower", greater="upper")]),
        ),
        fault(
            "a condition on what holds always",
            "range:workers",
            fleet(
                ranges=[
                    limit(
                        field="workers",
                        high=100,
                        repair="clamp",
                        when=when("error_rate", ">", 0.2),
                    )
                ]
            ),
        ),
        fault(
            "a warning wider than what is unsafe",
            "width:wait_ms",
            fleet(
                widths=[
                    limit(
                        "warning",
                        prediction="wait_ms",
                        lower="lower",
                        upper="upper",
                        max_relative=9,
                    )
                ]
            ),
        ),
        fault(
            "a range that two others cover together",
            "range:wait_ms",
            fleet(
                ranges=[
                    limit("critical", field="wait_ms", low=1) | {"message": "It is needed."},
                    limit("critical", field="wait_ms", high=50_000) | {"message": "It is needed."},
                    limit(field="wait_ms", low=0.5, high=55_000),
                ]
            ),
        ),
    ]


def let_through() -> list[Fault]:
    """Give policies that let leave what the active one holds back."""

    def fault(name: str, rule: str, policy: Written, active: Written, family: str) -> Fault:
        whole = {"families": {family: active}}
        return Fault(name, Kind.LETS_THROUGH, rule, family, policy, whole)

    bandit = shipped("bandit")
    return [
        fault(
            "a limit taken out",
            "range:canary_percentage",
            without(bandit, "ranges", "canary_percentage")
            | {"caps": bandit["caps"] | {"max_canary_percentage": 10}},
            bandit,
            "bandit",
        ),
        fault(
            "a cap raised",
            "range:canary_percentage",
            without(bandit, "ranges", "canary_percentage"),
            without(bandit, "ranges", "canary_percentage")
            | {"caps": bandit["caps"] | {"max_canary_percentage": 5}},
            "bandit",
        ),
        fault(
            "a level lowered to a warning",
            "relation:lower<=upper",
            without(fleet(), "relations", "lower")
            | {
                "relations": [
                    *without(fleet(), "relations", "lower")["relations"],
                    limit("warning", lesser="lower", greater="upper"),
                ]
            },
            fleet(),
            "fleet",
        ),
        fault(
            "a limit under a condition now",
            "range:wait_ms",
            without(fleet(), "ranges", "wait_ms")
            | {
                "ranges": [
                    *without(fleet(), "ranges", "wait_ms")["ranges"],
                    limit(
                        field="wait_ms", low=0, high=60_000, when=when("time.market_open", "==", 1)
                    ),
                ]
            },
            fleet(),
            "fleet",
        ),
        fault(
            "a bound moved by one part in ten thousand",
            "relation:workers<=3*active+5",
            without(fleet(), "relations", "workers")
            | {
                "relations": [
                    *without(fleet(), "relations", "workers")["relations"],
                    limit(
                        lesser="workers", greater="active", factor=3.0003, margin=5, repair="clamp"
                    ),
                ]
            },
            fleet(),
            "fleet",
        ),
    ]


def unreadable() -> list[Fault]:
    def fault(name: str, rule: str, policy: Written) -> Fault:
        return Fault(name, Kind.UNREADABLE, rule, "fleet", policy)

    incomplete = [each for each in fleet()["fallback"] if each["field"] != "admit"]
    return [
        fault("a recipe that is left out", "", fleet() | {"fallback": incomplete}),
        fault(
            "a level that there is not",
            "ranges[7].level",
            fleet(ranges=[limit("bad", field="load", low=0)]),
        ),
    ]


def planted() -> list[Fault]:
    """Give all of them."""
    return [
        *contradictions(),
        *unknown_fields(),
        *fallbacks(),
        *never_firing(),
        *shadowed(),
        *let_through(),
        *unreadable(),
    ]
