"""Names what a certificate's plan asks for otherwise than this release does out of the box.

Who writes a certificate of their own writes its plan too: a metric that may lack all values, a
check that never fails, thresholds that tell nothing apart. A platform's own settings differ in
margins only, and in `alpha`.
"""

from collections.abc import Iterator
from typing import Any

from config_store.certificates.plan import Plan, margins_of
from config_store.steering.settings import RolloutSettings
from deployments.history.step_evidence import STATEFUL, WITHOUT_INTERVAL
from models.evidence.margins import Margins


def differences(plan: Plan) -> list[str]:
    """Name each difference as "what is VALUE in place of VALUE"; none of a usual plan."""
    settings = RolloutSettings()
    usual = margins_of(settings.margins, settings.alpha, 1, grouped=True)
    return [*_of_metrics(plan.margins, usual), *_of_tests(plan, usual)]


def _of_metrics(stated: Margins, usual: Margins) -> Iterator[str]:
    known = {each.name: each.model_dump() for each in usual.metrics}
    found = {each.name: each.model_dump() for each in stated.metrics}
    for name in known.keys() - found.keys():
        yield f"{name} is not judged"
    for name, metric in found.items():
        if name not in known:
            yield f"{name} is no metric of a rollout"
            continue
        for part in sorted(metric.keys() | known[name].keys()):
            yield from _difference(f"{name}.{part}", metric.get(part), known[name].get(part))


def _of_tests(plan: Plan, usual: Margins) -> Iterator[str]:
    # Each of a rollout's steps has its part of alpha: less is more to ask for.
    if plan.margins.alpha > usual.alpha:
        yield from _difference("alpha", plan.margins.alpha, usual.alpha)
    for part in ("check_alpha", "grouped", "most_by_both"):
        yield from _difference(part, getattr(plan.margins, part), getattr(usual, part))
    for part, families in (("stateful", STATEFUL), ("without_interval", WITHOUT_INTERVAL)):
        yield from _difference(part, sorted(getattr(plan, part)), sorted(families))


def _difference(what: str, stated: Any, usual: Any) -> Iterator[str]:
    if stated != usual:
        yield f"{what} is {_as_text(stated)} in place of {_as_text(usual)}"


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)
