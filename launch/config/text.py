"""Says in lines of text what the platform answers about the configuration."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from config_store.changes.difference import Difference

Body = Mapping[str, Any]

MOST_VALUE = 160
MOST_LISTED = 200
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def difference_lines(found: Iterable[Difference], *, whole: bool = False) -> Iterator[str]:
    """Write a line for each place that differs; not whole, a long list or value is cut short."""
    for at, each in enumerate(found):
        if at == MOST_LISTED and not whole:
            yield "..."
            return
        before, after = _value(each.before, whole=whole), _value(each.after, whole=whole)
        said = {"added": after, "removed": before, "changed": f"{before} -> {after}"}[each.kind]
        yield f"{_SIGNS[each.kind]} {each.path}: {said}"


def answered_differences(found: Iterable[Body]) -> list[Difference]:
    return [Difference(**each) for each in found]


def fault_lines(faults: Mapping[str, str]) -> list[str]:
    return [f"  {path}: {what}" for path, what in faults.items()]


def finding_lines(findings: Iterable[Body]) -> Iterator[str]:
    """Say what was found in a safety policy, each with the name to acknowledge it by."""
    for each in findings:
        name = " ".join(filter(None, (each["kind"], each["family"], each["rule"])))
        yield f"  {name}"
        yield f"      {each['message']}"


def version_line(version: Body) -> str:
    """Write a version as `history` lists it."""
    life = version["life"]
    stage = "" if life is None else life["stage"]
    by = "" if life is None else ", ".join(each["by"] for each in life["approvals"])
    approved = f", approved by {by}" if by else ""
    parent = "" if life is None or life["parent"] is None else f" on {life['parent']}"
    when = "" if version["created"] is None else moment(version["created"])
    trouble = f"  UNREADABLE: {version['unreadable']}" if version["unreadable"] else ""
    return (
        f"{version['version']:>5}{parent:<8} {stage:<12} {when:<20} {version['config_hash'][:12]} "
        f"{version['author']}{with_others(life)}{approved}: {version['reason']}{trouble}"
    )


def with_others(written: Body | None) -> str:
    """Name who wrote some of a version besides its author."""
    names = [] if written is None else written["co_authors"]
    return f" with {', '.join(names)}" if names else ""


def steering_lines(steering: Body) -> Iterator[str]:
    """Say which state the configuration is in, and what to do."""
    yield f"state     {steering['state']}"
    yield from (f"          {each}" for each in steering["meaning"])
    yield f"active    {steering['active']} ({steering['config_hash'][:12]})"
    yield f"warm      {_listed(steering['warm'])}"
    if steering["drafts"]:
        yield f"drafts    {_listed(steering['drafts'])}"
    if steering["emergency"] is not None:
        yield f"emergency {steering['emergency']}"
    if (lock := steering["lock"]) is not None:
        yield f"lock      {lock['by']} until {moment(lock['until'])}: {lock['reason']}"
    for each in steering["freezes"]:
        holds = "holds" if each["holds"] else "does not hold now"
        span = f"{moment(each['begins'])} to {moment(each['ends'])}"
        yield f"freeze    {each['id']} by {each['by']}, {span} ({holds}): {each['reason']}"
    yield f"approvals {steering['approvals_needed']} needed"


def at_lines(found: Body) -> Iterator[str]:
    """Say what was in force, and who let it in."""
    let_in = found["let_in"]
    yield f"At {moment(found['time'])} version {found['version']} was in force."
    yield f"hash      {found['config_hash']}"
    yield f"author    {let_in['author']}{with_others(let_in)}: {let_in['reason']}"
    by = let_in["activated_by"] or let_in["author"]
    yield f"active    since {moment(let_in['activated'])}, by {by}, after {found['before']}"
    for each in let_in["approvals"]:
        yield f"approved  by {each['by']} at {moment(each['time'])}"
    yield from _model_lines(found["release"])
    if found["rollout"]:
        yield f"rollout   {found['rollout']}"
    if found["emergency"]:
        yield f"emergency {found['emergency']}"
    yield from (f"override  {each}" for each in found["overrides"])
    if not found["complete"]:
        yield "The archive could not be asked: an older event may say otherwise."


def _model_lines(release: Body | None) -> Iterator[str]:
    pins = None if release is None else release["models"]
    if pins is None:
        yield "models    not pinned: those that its aliases named"
        return
    for name, pin in sorted(pins.items()):
        yield f"model     {name} {pin['version']} ({pin['digest'][:12]})"


def drift_lines(found: Body) -> Iterator[str]:
    yield f"active    {found['version']} ({found['config_hash'][:12]})"
    for each in found["replicas"]:
        if each["state"] != "same":
            yield (
                f"{each['state']:<9} {each['replica']} goes by {each['version']} "
                f"({each['config_hash'][:12]}), {each['age_s']:.0f} s ago; it looked "
                f"{each['look_age_s']:.0f} s before"
            )
    same = sum(each["state"] == "same" for each in found["replicas"])
    yield f"same      {same} of {len(found['replicas'])} replicas"
    for each in found["findings"]:
        yield f"changed   {each['what']} {each['remedy']}"


def moment(time: str) -> str:
    """Shorten a time of an answer, which is of UTC."""
    return f"{time[:10]} {time[11:19]}Z"


def _value(value: Any, *, whole: bool) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if whole or len(text) <= MOST_VALUE else f"{text[:MOST_VALUE]}..."


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
