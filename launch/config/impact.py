"""Has recorded decisions replayed under a version, and says in lines of text what would change."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from httpx import AsyncClient

from launch.config.text import moment
from launch.platform_client import PlatformRefusedError, fetch
from launch.progress import Progress

LOOK_SECONDS = 0.5
SHOWN_EXAMPLES = 2
SHOWN_RULES = 10
NOT_FOUND = 404
GOES_ON = ("queued", "running")

Body = Mapping[str, Any]


async def replayed(client: AsyncClient, version: int, hours: float, rows: int) -> Body:
    """Have a version replayed, and wait until it is over."""
    path = f"/config/versions/{version}/impact"
    found: Body = await fetch(client, "POST", f"{path}?hours={hours:g}&rows={rows}")
    with Progress().bar("Replaying decisions") as share:
        while found["state"] in GOES_ON:
            _tell(found, share)
            await asyncio.sleep(LOOK_SECONDS)
            found = await fetch(client, "GET", path)
        _tell(found, share)
    return found


async def last_impact(client: AsyncClient, version: int) -> list[str]:
    """Say what the last replay under a version found, or how to have one made."""
    how = f"`ballast config impact {version}` replays what was answered in the last day under it."
    try:
        found: Body = await fetch(client, "GET", f"/config/versions/{version}/impact")
    except PlatformRefusedError as refusal:
        if refusal.status == NOT_FOUND:
            return [f"Its impact is not known: no decisions were replayed under it. {how}"]
        return [f"Its impact cannot be looked up now. {refusal}"]
    if found["state"] == "failed":
        return [f"Its impact is not known: the last replay failed ({found['reason']}). {how}"]
    asked = f"{found['asked_by']} asked for at {_time(found['asked_at'])}"
    told = [f"Its impact, by the replay that {asked}:"]
    told += [f"  {line}".rstrip() for line in impact_lines(found)]
    if found["state"] in GOES_ON:
        told.append(f"It goes on: `ballast config impact {version} --last` shows what it finds.")
    elif found["report"] is None:
        told.append(how)
    return told


def _tell(found: Body, share: Callable[[float, str], None]) -> None:
    read, drawn = found["read"], found["drawn"]
    share(read / drawn if drawn else 0.0, f"{read:,} of {drawn:,} decisions")


def impact_lines(found: Body) -> Iterator[str]:
    """Say what would change."""
    report = found["report"]
    since, until = (_time(found[name]) for name in ("since", "until"))
    yield f"Version {found['version']} over the decisions from {since} to {until}"
    if report is None:
        yield f"          the replay is {found['state']}: {found['read']:,} decisions so far"
        return
    if found["state"] == "cancelled":
        yield "          somebody ended the replay: what it had read by then follows"
    yield (
        f"recorded  {report['recorded']:,} decisions, {report['read']:,} read, "
        f"{report['replayed']:,} replayed"
    )
    yield f"sample    {report['sample']}"
    whole = report["whole"]
    yield f"answers   {_share(report['changed'], whole=whole)} change"
    yield f"actions   {_share(report['flipped'], whole=whole)} flip"
    for name, family in report["families"].items():
        yield from _family_lines(name, family, whole=whole)
    yield from _unknown_lines(report)


def _family_lines(name: str, family: Body, *, whole: bool) -> Iterator[str]:
    yield ""
    again = family["asked_again"]
    asked = f"; the model was asked again about {again:,}" if again else ""
    changed = _share(family["changed"], whole=whole)
    yield f"{name}: {family['replayed']:,} replayed, {changed} change{asked}"
    for each in family["flips"]:
        count, ids = _share(each["count"], whole=whole), _ids(each["examples"])
        yield f"  {each['field']}: {each['before']} -> {each['after']}: {count}{ids}"
    for field, each in family["fields"].items():
        yield from _field_lines(field, each, whole=whole)
    for each in family["rules"][:SHOWN_RULES]:
        for way, word in (("new", "is newly broken by"), ("gone", "is no longer broken by")):
            if each[way]["rows"]:
                count, ids = _share(each[way], whole=whole), _ids(each[f"{way}_examples"])
                yield f"  {each['rule']} ({each['level']}) {word} {count}{ids}"
    for what, words in (("refused", "get no answer"), ("alarms", "call for emergency mode")):
        if family[what]["rows"]:
            yield f"  {_share(family[what], whole=whole)} {words}"


def _field_lines(field: str, found: Body, *, whole: bool) -> Iterator[str]:
    yield f"  {field}: changes in {_share(found['changed'], whole=whole)}"
    if found["median"] is not None:
        yield (
            f"    by {found['median']:.4g} (median), {found['p95']:.4g} (p95), "
            f"{found['largest']:.4g} (largest); {found['raised']:,} up, {found['lowered']:,} down"
        )
    for each in found["examples"][:SHOWN_EXAMPLES]:
        item = "" if each["item"] is None else f" (item {each['item']})"
        before, after = _value(each["before"]), _value(each["after"])
        yield f"    {each['decision_id']}: {before} -> {after}{item}"


def _unknown_lines(report: Body) -> Iterator[str]:
    """Say what was not replayed, and why."""
    if report["left_out"]:
        yield ""
        yield "Left out, and not among these:"
    for each in report["left_out"]:
        rows = f"{each['rows']:,} of {each['family'] or 'no known family'}"
        yield f"  {rows}: {each['reason']}{_ids(each['examples'])}"
    if report["not_replayed"]:
        yield ""
        yield "It differs in these places too, of which a replay says nothing:"
    for each in report["not_replayed"]:
        yield f"  {each['path']}: {each['why']}"
    yield ""
    yield from report["notes"]


def _share(found: Body, *, whole: bool) -> str:
    """Write a count and its share; of a sample about how many of all, and how sure that is."""
    if whole:
        return f"{found['rows']:,} ({_percent(found['share'])})"
    low, high = _percent(found["low"]), _percent(found["high"])
    return f"about {found['about']:,} ({_percent(found['share'])}; {low} to {high})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _ids(ids: list[str]) -> str:
    return f", such as {', '.join(ids[:SHOWN_EXAMPLES])}" if ids else ""


def _value(value: Any) -> str:
    if value is None:
        return "open"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _time(epoch: float) -> str:
    return moment(datetime.fromtimestamp(epoch, UTC).isoformat())
