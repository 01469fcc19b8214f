"""The definitions of features as clients see them."""

import math

from deployments.api.features import FeatureShown
from deployments.definitions.in_force import Decided
from features.definitions.catalogue import Catalogue
from features.definitions.definition import Calendar, Definition, Function, Judged, Live, Window
from features.definitions.expression import Expression


def describe_definitions(catalogue: Catalogue, decided: Decided | None) -> list[FeatureShown]:
    """Write the definitions as clients see them."""
    known = decided or Decided()
    return [
        FeatureShown(
            name=name,
            kind=each.kind,
            type=each.type,
            unit=each.unit,
            low=each.low if math.isfinite(each.low) else None,
            high=each.high if math.isfinite(each.high) else None,
            ttl_seconds=catalogue.ttl_seconds(name),
            version=catalogue.versions[name],
            source=list(each.source),
            how=describe_computation(each),
            owner=each.owner,
            description=each.description,
            held_back=None if (held := known.refusal(name)) is None else held.of(name),
            health=known.health.get(name),
        )
        for name, each in catalogue.by_name.items()
    ]


def describe_computation(definition: Definition) -> str:
    """Say in words how a feature is computed."""
    match definition.computed:
        case Expression(text=text):
            words = text
        case Function(path=path, sha256=digest):
            words = f"function {path}" + (f", of the module {digest[:12]}" if digest else "")
        case Live(column=column, instead=instead):
            words = f"{column} of the newest interval" + (
                f"; where it was not measured, of {' and '.join(instead)}" if instead else ""
            )
        case Window(column=column, statistic=statistic, quantile=quantile) as window:
            which = f"{statistic} {quantile:g}" if quantile else statistic
            words = f"{which} of {column} over {window.seconds} s, every {window.step_seconds} s"
        case Calendar(function=function):
            words = f"{function} of the entity's exchange or time zone, every minute"
        case Judged():
            words = "what the streams of the entity's metrics said of the interval before"
        case baseline:
            words = f"{baseline.measure} over {baseline.seconds} s, every {baseline.step_seconds} s"
    return words
