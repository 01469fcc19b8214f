"""What a rollout may be judged by: margins that mean something, and weaker ones only by an admin.

Who deploys states how much worse a candidate may be. Margins wide enough make every candidate good,
and a certificate of that would look like any other.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from access.keys import Role
from config_store.errors import RefusedChangeError, WeakenedEvidenceError
from config_store.steering.commands import Actor
from config_store.steering.settings import Margin, RolloutSettings


class Bounds(NamedTuple):
    """Between which margins a verdict on a metric says something."""

    relative: bool
    least: float
    most: float


# Finer ones no traffic ever decides; beyond the most a candidate would be good that everybody
# would call broken: twice as slow, or an error in twenty answers.
BOUNDS: Final[dict[str, Bounds]] = {
    "p99_ms": Bounds(relative=True, least=0.01, most=1.0),
    # Widths are told apart over eighteen powers of ten: finer thresholds would be too many.
    "interval_width": Bounds(relative=True, least=0.021, most=1.0),
    "violation_rate": Bounds(relative=False, least=0.0001, most=0.05),
    "error_rate": Bounds(relative=False, least=0.0001, most=0.05),
}
LEAST_ALPHA, MOST_ALPHA = 1e-6, 0.1


def refuse_senseless(settings: RolloutSettings) -> None:
    """Refuse what no verdict could mean anything by; without evidence nothing is judged."""
    if not settings.evidence:
        return
    if not LEAST_ALPHA <= settings.alpha <= MOST_ALPHA:
        raise RefusedChangeError(
            f"alpha is {settings.alpha:g}: give one between {LEAST_ALPHA:g} and {MOST_ALPHA:g}."
        )
    if not settings.margins:
        raise RefusedChangeError(
            f"No margin is stated, so nothing would be judged: give one for {', '.join(BOUNDS)}."
        )
    names = [each.metric for each in settings.margins]
    if len(set(names)) < len(names):
        raise RefusedChangeError("A metric has two margins: give one for each.")
    for margin in settings.margins:
        _refuse_margin(margin)


def weakened(stated: RolloutSettings, usual: RolloutSettings) -> tuple[str, ...]:
    """Say in which ways a rollout would be judged by less than is usual here; empty where in none.

    A smaller alpha asks for more evidence, and a metric that is usually not judged does too.
    """
    if not stated.evidence:
        return ("steps end without evidence",) if usual.evidence else ()
    return (*_wider(stated, usual), *_likelier(stated, usual))


def refuse_weakened(weaker: tuple[str, ...], by: Actor) -> None:
    """Refuse weaker evidence to whoever may not set what is usual either."""
    if weaker and not by.role.includes(Role.ADMIN):
        raise WeakenedEvidenceError(weaker, by.role)


def _refuse_margin(margin: Margin) -> None:
    bounds = BOUNDS.get(margin.metric)
    if bounds is None:
        raise RefusedChangeError(
            f"There is no test for {margin.metric!r}: a rollout is judged by {', '.join(BOUNDS)}."
        )
    value = margin.relative if bounds.relative else margin.absolute
    kind = "relative" if bounds.relative else "absolute"
    if value is None:
        raise RefusedChangeError(f"The margin of {margin.metric} has to be {kind}.")
    if not bounds.least <= value <= bounds.most:
        raise RefusedChangeError(
            f"The {kind} margin of {margin.metric} is {value:g}: give one between "
            f"{bounds.least:g} and {bounds.most:g}."
        )


def _wider(stated: RolloutSettings, usual: RolloutSettings) -> Iterator[str]:
    known = {each.metric: each for each in stated.margins}
    for margin in usual.margins:
        found = known.get(margin.metric)
        if found is None:
            yield f"{margin.metric} is not judged"
        elif _value(found) > _value(margin):
            yield f"{margin.metric} may be worse by {_size(found)} in place of {_size(margin)}"


def _likelier(stated: RolloutSettings, usual: RolloutSettings) -> Iterator[str]:
    if stated.alpha > usual.alpha:
        yield f"alpha is {stated.alpha:g} in place of {usual.alpha:g}"


def _value(margin: Margin) -> float:
    return margin.relative if margin.relative is not None else margin.absolute or 0.0


def _size(margin: Margin) -> str:
    return f"{100 * _value(margin):g} {'points' if margin.relative is None else '%'}"
