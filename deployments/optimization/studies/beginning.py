"""How a study begins and what its requests must fit; nothing is changed before all of it does."""

import re
from typing import Any

from deployments.optimization.studies.events import Event, RunElsewhere
from deployments.optimization.studies.listed import as_typed, twice
from deployments.optimization.studies.operations import AskTrial, PastTrial
from deployments.optimization.studies.state import Running
from deployments.runtime.batch import Refusal
from models.errors import SpaceError, StudyError, TrialError
from models.optimization.bayes.snapshot import design_document, design_from
from models.optimization.bayes.study import MOST_TRIALS, Design, Study

# What a body calls a setting that does not lie in its `design`.
_FIELDS = {"goals": "goal", "space": "space", "constraints": "constraints"}
_CANDIDATE = re.compile(r"candidate (\d+): (.*)", re.DOTALL)


class UnfitError(Exception):
    """A request does not fit its study; the refusal says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal["message"])
        self.refusal = refusal


def invalid(field: str, message: str) -> UnfitError:
    return UnfitError({"code": "invalid", "message": message, "fields": {field: message}})


def steps(running: Running | None, ask: AskTrial) -> Event:
    """Say what has to happen before a trial is asked for: mostly nothing."""
    stated, given = ask["design"], ask.get("history", [])
    if running is not None:
        _check_same(stated, running.study.design)
        design, known, trials = running.study.design, running.elsewhere, len(running.study.trials)
    else:
        design, known, trials = _design(stated), 0, 0
    event: Event = {} if running else {"start": design_document(design)}
    if new := given[known:]:
        event["history"] = _history(design, new, known, trials)
    return event


def in_order(constraints: dict[str, float], names: tuple[str, ...], field: str) -> list[float]:
    """List the constraints' values as the study lists their names."""
    if constraints and constraints.keys() != set(names):
        message = (
            f"The study's constraints are {', '.join(names) or 'none'}: give a value for each "
            "of them"
        )
        raise invalid(field, message)
    return [constraints[name] for name in names] if constraints else []


def _design(stated: dict[str, Any]) -> Design:
    if "space" not in stated:
        raise invalid("space", "The study does not exist yet: give its space to create it")
    given = [as_typed(stated["space"], each) for each in stated.get("candidates", ())]
    try:
        design = design_from(stated | {"candidates": given})
    except SpaceError as error:
        raise invalid("space", str(error)) from error
    except StudyError as error:
        raise _no_design(str(error)) from error
    if found := twice(given):
        raise invalid(f"design.candidates.{found[0]}", f"It is the same as candidate {found[1]}")
    return design


def _no_design(why: str) -> UnfitError:
    if candidate := _CANDIDATE.fullmatch(why):
        return invalid(f"design.candidates.{candidate[1]}", candidate[2])
    return invalid(_field(why.split(" ", 1)[0]), why)


def _field(setting: str) -> str:
    return _FIELDS.get(setting, f"design.{setting}")


def _check_same(stated: dict[str, Any], design: Design) -> None:
    """Refuse a setting whose value differs from the study's."""
    # Without its candidates, each of which would be placed in the space again at every ask.
    begun = design_document(design) | {"candidates": ()}
    for name, value in stated.items():
        if not _same(name, value, begun, design):
            field = _field(name)
            message = (
                f"The study was created with another value of {field}, which cannot change: "
                "delete the study to create it again"
            )
            raise UnfitError({"code": "conflict", "message": message, "fields": {field: message}})


def _same(name: str, value: Any, begun: dict[str, Any], design: Design) -> bool:
    if name == "candidates":
        return tuple(value) == design.candidates
    try:
        found = design_from(begun | {name: value})
    except (SpaceError, StudyError):
        return False
    return bool(getattr(found, name) == getattr(design, name))


def _history(design: Design, given: list[PastTrial], known: int, trials: int) -> list[list[Any]]:
    """Put rows that are new to the study as its events list them, once all of them fit."""
    if trials + len(given) > MOST_TRIALS:
        raise invalid("history", f"A study has at most {MOST_TRIALS} trials")
    scratch, rows, space = Study.start(design), list[list[Any]](), design.space.document()
    for number, each in enumerate(given, known):
        parameters = as_typed(space, each["parameters"])
        field = f"history.{number}"
        limits = in_order(each["constraints"], design.constraints, f"{field}.constraints")
        try:
            scratch.add(parameters, each["values"], limits, failed=each["failed"])
        except (SpaceError, TrialError) as error:
            raise invalid(field, str(error)) from error
        rows.append(list(RunElsewhere(parameters, each["values"], limits, each["failed"])))
    return rows
