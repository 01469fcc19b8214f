"""Lists the features that users define, changes one, and forces one that is held back."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from config_store.document import ConfigDocument, FeatureConfig
from config_store.own_features import OwnFeature
from config_store.store import ConfigStore
from deployments.definitions.in_force import Decided, Refusal, definitions_key
from launch.document_change import change_document
from launch.errors import LaunchError
from launch.sources.change import configuration
from settings.environment import Settings


async def listed(settings: Settings) -> str:
    async with configuration(settings) as redis:
        own = (await ConfigStore(redis).active()).document.features.definitions
        decided = await _decided(redis)
    if not own:
        return "No feature is defined beside the shipped ones; `ballast features define` adds one."
    return "\n".join(
        [
            *(
                f"{name:<24} {_state(name, each, decided):<12} {each.expression or each.function}"
                for name, each in sorted(own.items())
            ),
            *(line for name in sorted(own) for line in _why(name, decided)),
        ]
    )


async def define(settings: Settings, name: str, path: Path, now: datetime) -> str:
    """Put the definition of a file in the place of the one that is configured, or beside others."""
    wish = _read(path)

    def change(document: ConfigDocument) -> ConfigDocument:
        known = document.features.model_dump(mode="json")
        known["definitions"][name] = wish
        try:
            features = FeatureConfig.model_validate(known)
        except ValidationError as refusal:
            first = refusal.errors()[0]
            where = " ".join(str(part) for part in first["loc"] if part != "definitions")
            said = f"{where}: {first['msg']}" if where else first["msg"]
            raise LaunchError(f"{name} cannot be defined so: {said}.") from None
        return document.model_copy(update={"features": features})

    async with configuration(settings) as redis:
        why, models = f"the feature {name} is defined", settings.paths.models
        made = await change_document(redis, models, change, why, now)
    described = made.describe(f"{name} is defined")
    return (
        f"{described} Where there was a definition before, the new one is "
        "compared with it and is in force where it is within bounds; `ballast "
        "features list` shows what became of it."
    )


async def force(settings: Settings, name: str, now: datetime) -> str:
    """Put a definition in force that is held back, with those that are decided on with it."""
    async with configuration(settings) as redis:
        refusal = _refusal(name, await _decided(redis))

        def change(document: ConfigDocument) -> ConfigDocument:
            own = document.features.definitions
            forced = {
                each: own[each].model_copy(update={"forced": id_})
                for each, id_ in refusal.ids.items()
                if each in own
            }
            features = document.features.model_copy(update={"definitions": {**own, **forced}})
            return document.model_copy(update={"features": features})

        names = ", ".join(refusal.ids)
        models = settings.paths.models
        made = await change_document(redis, models, change, f"forced: {names}", now)
    what = f"In force, whatever they give: {names}"
    return f"{made.describe(what)} A later change is compared again."


def _refusal(name: str, decided: Decided) -> Refusal:
    found = decided.refusal(name)
    if found is None:
        raise LaunchError(f"No definition of {name} is held back; see `ballast features list`.")
    return found


async def _decided(redis: Redis) -> Decided:
    stored: Any = await redis.get(definitions_key(redis))
    return Decided.read(stored) or Decided()


def _state(name: str, own: OwnFeature, decided: Decided) -> str:
    health = decided.health.get(name)
    if decided.refusal(name) is not None:
        return "held back"
    if name not in decided.named or decided.named[name].definition != own:
        return "not yet known"
    return "in force" if health is None or health.state == "ok" else health.state


def _why(name: str, decided: Decided) -> Iterator[str]:
    """Say what is not as it should be with a feature, and what to do."""
    health, refusal = decided.health.get(name), decided.refusal(name)
    if health is not None and health.why:
        yield f"{name}: {health.why}."
    if refusal is not None:
        yield f"{name}: {refusal.why}."
        if refusal.refused:
            yield (
                f"  Correct it with `ballast features define {name} FILE`, or put it in force as "
                f"it is with `ballast features force {name}`."
            )


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise LaunchError(f"{path} holds no definition that can be read: {error}.") from None
