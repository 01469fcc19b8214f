"""Checks a version as the replicas will go by it, before it may come into force.

Reading the document has checked its fields; here its parts are put together as they will serve.
"""

from collections.abc import Iterable
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from config_store.changes.reading import BadDocumentError, read_document
from config_store.document import ConfigDocument, ModelServing
from config_store.pinning import pin_faults
from config_store.sources import (
    KafkaSource,
    PrometheusSource,
    QueriedSource,
    RemoteWriteSource,
    SourceConfig,
)
from deployments.api.capacity import MODELS as CAPACITY_MODELS
from features.sources.addresses import why_refused
from features.sources.kafka.config import host_of
from features.sources.remote_write.needed import selectors_of
from features.sources.rules import Matcher
from models.errors import ModelError
from models.needs import NEEDS
from models.pointer import read_pointer
from models.registry import CHAMPION
from safety.checker import Checker
from safety.fallback import Fallback

Faults = dict[str, str]


def faults_of(document: ConfigDocument, models: Path) -> Faults:
    """Name each place that would fail in service, with the reason; this may take a second."""
    return (
        _reads_back(document)
        | _policies(document)
        | _features(document)
        | _sources(document)
        | _models(document, models)
    )


def _reads_back(document: ConfigDocument) -> Faults:
    """Refuse a document that would not be the same once it is read from Redis."""
    try:
        again = read_document(orjson.loads(document.canonical()))
    except BadDocumentError as error:
        return error.faults
    if again.config_hash != document.config_hash:
        return {
            "document": "it is another one after it was written and read again: this is a fault of "
            "Ballast, report it"
        }
    return {}


def _policies(document: ConfigDocument) -> Faults:
    found: Faults = {}
    for family, policy in document.safety.families.items():
        try:
            Fallback(policy, Checker(policy))
        except (ValueError, KeyError, ArithmeticError) as error:
            found[f"safety.families.{family}"] = str(error)
    return found


def _features(document: ConfigDocument) -> Faults:
    try:
        document.features.catalogue()
    except ValueError as error:
        return {"features.definitions": str(error)}
    return {}


def _sources(document: ConfigDocument) -> Faults:
    """Refuse addresses that nobody is asked at, and patterns that a reader would stumble over."""
    found: Faults = {}
    for name, source in document.sources.named.items():
        found |= _addresses(f"sources.named.{name}", source)
        if isinstance(source, PrometheusSource | RemoteWriteSource):
            at = f"sources.named.{name}.mapping"
            for selector in selectors_of(source.mapping):
                found |= _patterns(f"{at}: {selector.name}", selector.where)
    return found


def _addresses(place: str, source: SourceConfig) -> Faults:
    """Refuse an address that would be refused when it is asked; a name is looked up only then."""
    if isinstance(source, QueriedSource) and source.url is not None:
        hosts = {f"{place}.url": source.url.host or ""}
    elif isinstance(source, KafkaSource):
        hosts = {f"{place}.servers[{at}]": host_of(each) for at, each in enumerate(source.servers)}
    else:
        return {}
    refused = {at: why_refused(host) for at, host in hosts.items()}
    return {at: why for at, why in refused.items() if why is not None}


def _patterns(place: str, where: Iterable[Matcher]) -> Faults:
    found: Faults = {}
    for matcher in where:
        if matcher.op in {"=~", "!~"}:
            try:
                pc.match_substring_regex(pa.scalar(""), pattern=f"^(?s:{matcher.value})$")
            except pa.ArrowInvalid as error:
                found[f"{place}{{{matcher.label}}}"] = f"{matcher.value!r} is no pattern: {error}"
    return found


def _models(document: ConfigDocument, models: Path) -> Faults:
    """Refuse a model that could not answer: one that is not there, or that no plan goes by."""
    tail, capacity = document.serving.tail, document.serving.capacity
    pins = document.models or {}
    found = pin_faults(pins, models)
    if tail.model not in pins:
        found |= _alias("serving.tail", tail, models)
    planners = [f"forecasting/{each}" for each in CAPACITY_MODELS]
    if capacity.model in planners:
        there = capacity.model in pins
        return found if there else found | _alias("serving.capacity", capacity, models)
    why = f"no plan goes by {capacity.model!r}: choose one of {', '.join(planners)}"
    return found | {"serving.capacity.model": why}


def _alias(place: str, served: ModelServing, models: Path) -> Faults:
    """Refuse an alias that names nothing, but a champion that may be trained yet."""
    try:
        if read_pointer(models, served.model, served.alias) is not None:
            return {}
    except ModelError as error:
        return {f"{place}.alias": str(error)}
    if served.alias == CHAMPION and served.model in NEEDS:
        return {}
    return {
        f"{place}.alias": f"no version of {served.model} is its {served.alias}: register one and "
        "set the alias first"
    }
