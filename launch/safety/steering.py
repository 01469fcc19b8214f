"""What the commands of `ballast safety` ask the platform, and how they tell what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx

from launch.platform_client import fetch

NONE = "none"


@dataclass(frozen=True, slots=True)
class OverrideRequest:
    """An override as somebody asks for it."""

    family: str
    entity: str
    field: str
    value: float | str
    reason: str
    minutes: float


async def status(client: httpx.AsyncClient) -> list[str]:
    found = await fetch(client, "GET", "/safety/status")
    checks = found["checks"]
    off_for = ", ".join(checks["off_for"])
    lines = [
        _emergency(found),
        f"policy          of configuration version {found['config_version']}",
        f"overrides       {found['overrides'] or NONE}",
        f"checks          {f'OFF for {off_for}' if off_for else 'on'}",
    ]
    if checks["asked_off"] and not off_for:
        lines.append(
            "                ENABLE_SAFETY_CHECKS is false, which an admin has confirmed for no "
            "family"
        )
    lines.append(
        f"state           revision {found['revision']}, read {found['state_age_seconds']:.0f} s ago"
    )
    return lines + _counted(found["violations"])


async def turn(client: httpx.AsyncClient, reason: str, *, on: bool) -> list[str]:
    body = {"enable": on, "reason": reason}
    return [_emergency(await fetch(client, "POST", "/safety/emergency-mode", body))]


async def add_override(client: httpx.AsyncClient, request: OverrideRequest) -> list[str]:
    expires = datetime.now(UTC) + timedelta(minutes=request.minutes)
    body = {
        "family": request.family,
        "entity": request.entity,
        "field": request.field,
        "value": request.value,
        "reason": request.reason,
        "expires_at": expires.isoformat(),
    }
    return [_override(await fetch(client, "POST", "/safety/override", body))]


async def overrides(client: httpx.AsyncClient) -> list[str]:
    return _listed(await fetch(client, "GET", "/safety/overrides"))


async def end_override(client: httpx.AsyncClient, override_id: str) -> list[str]:
    left = await fetch(client, "DELETE", f"/safety/override/{override_id}")
    return [f"{override_id} has ended.", *_listed(left)]


async def violations(client: httpx.AsyncClient, asked: Mapping[str, str | None]) -> list[str]:
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    found = await fetch(client, "GET", f"/safety/violations?{query}")
    return [_violation(each) for each in found] or ["No limit was broken."]


def number_or_name(value: str) -> float | str:
    """Read a value as a number where it is one."""
    try:
        return float(value)
    except ValueError:
        return value


def _emergency(found: Mapping[str, Any]) -> str:
    emergency = found["emergency"]
    if emergency is None:
        return "emergency mode  off"
    by = f"the rule {emergency['rule']}" if emergency["rule"] else emergency["by"]
    return (
        f"emergency mode  ON since {emergency['since']}, by {by}: {emergency['reason']}. "
        "Every family answers its fallback; `ballast safety emergency off` ends it."
    )


def _counted(violations: Mapping[str, Mapping[str, int]] | None) -> list[str]:
    if violations is None:
        return ["violations      not known while Redis is away"]
    if not violations:
        return [f"violations      {NONE}"]
    lines = []
    for family, levels in sorted(violations.items()):
        told = ", ".join(f"{count} {level}" for level, count in sorted(levels.items()))
        lines.append(f"violations      {family}: {told}")
    return lines


def _listed(found: list[dict[str, Any]]) -> list[str]:
    return [_override(each) for each in found] or ["There are no overrides."]


def _override(each: Mapping[str, Any]) -> str:
    return (
        f"{each['id']}  {each['field']} of {each['family']} for "
        f"{each['entity'] or 'every entity'} is {each['value']} until {each['expires_at']}, "
        f"by {each['author']}: {each['reason']}"
    )


def _violation(each: Mapping[str, Any]) -> str:
    value = "" if each["value"] is None else f" ({each['value']:g})"
    return (
        f"{each['timestamp']}  {each['level']:<8}  {each['family']}  {each['entity']}  "
        f"{each['rule']}{value}: {each['message']}  decision {each['decision_id']}"
    )
