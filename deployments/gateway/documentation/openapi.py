"""The contract's description: FastAPI's paths, the inference paths, and every refusal."""

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from deployments.api.config_drafts import ConfigPatch, DraftBody, PolicyDraftBody
from deployments.api.datasets import DatasetQuery
from deployments.api.endpoint import InferenceEndpoint
from deployments.api.features import VectorsQuery
from deployments.api.policy_check import PolicyCheck
from deployments.api.telemetry import TelemetryColumns, TelemetryRows
from deployments.gateway.bodies.reader import BodyReader

REF = "#/components/schemas/{model}"

REFUSALS = {
    "401": "The API key is missing, unknown or revoked.",
    "403": "The key's role does not allow this.",
    "404": "It does not exist.",
    "409": (
        "It conflicts with the present state: a second feedback, another design, an old number; "
        "or the safety policy refuses an answer, and names the rule."
    ),
    "405": "The path does not accept this method.",
    "413": "The body is too large.",
    "422": "The request does not fit the contract; `fields` names each field at fault.",
    "429": "The key has exceeded a quota; Retry-After says when to try again.",
    "503": (
        "No capacity, no time left, or a required part cannot be reached; Retry-After says "
        "when to try again."
    ),
}


class ErrorDetail(BaseModel):
    code: str
    message: str
    fields: dict[str, str]
    request_id: str


class Error(BaseModel):
    """Every refusal has this shape."""

    error: ErrorDetail


class Online(BaseModel):
    """How the intervals of this entity have fared, where outcomes were told."""

    offset: float
    outcomes: int
    coverage: float | None
    recent_coverage: float | None
    holds: bool


class Interval(BaseModel):
    """The whole is null where nothing is claimed; meta.interval_reason then says why."""

    lower: float | None = Field(description="Null where the interval has no lower end.")
    upper: float | None = Field(description="Null where the interval has no upper end.")
    level: float = Field(gt=0, lt=1)
    method: str
    online: Online | None = Field(default=None, json_schema_extra={"readOnly": True})


class ViolationShown(BaseModel):
    rule: str
    field: str | None
    value: float | None
    bound: float | None
    level: Literal["safe", "warning", "unsafe", "critical"] = Field(
        description="Safe for a limit on trial: its breach is noted, and changes nothing."
    )
    message: str
    hour: int | None = Field(
        default=None,
        description="For a capacity plan: the hour that is meant, where it is not the next one.",
    )


class SafetyShown(BaseModel):
    level: Literal["safe", "warning", "unsafe", "critical"]
    violations: list[ViolationShown]
    fallback: bool
    override: str | None = Field(
        description="The ids of the overrides in `data`, with a comma between them; null where a "
        "person put nothing in an answer's place."
    )
    unjudged: list[str] = Field(description="Parts of `data` that the policy has no limits for.")
    checks: Literal["off"] | None = Field(
        default=None,
        description="Only where an admin confirmed that the policy's limits are not asked: "
        "the answer was held against nothing but what a number can be.",
    )


class FeaturesShown(BaseModel):
    stale: list[str]
    assumed: list[str] = Field(
        description="Of entities that nobody measures: taken from the configuration's defaults."
    )
    missing: list[str] = Field(
        description="Of entities that are measured, though not in this: the model did without."
    )
    event_time: str | None


class Meta(BaseModel):
    decision_id: str
    model: str
    model_version: str
    config_version: int
    rung: Literal["model", "last_safe", "baseline", "constant"] = Field(
        description="The rung of the fallback ladder that answered: the model; the entity's last "
        "safe answer; the baseline, from what is known of the row; or constants."
    )
    features: FeaturesShown
    degraded: bool
    latency_ms: float
    deadline_left_ms: float = Field(
        description="How much of the request's deadline was left when the answer was recorded."
    )
    interval_reason: str = Field(
        default="", description="Only where the interval is null: why there is none."
    )
    fallback_reason: str = Field(
        default="",
        description="Only where no model could answer, or none may because of an emergency: why.",
    )
    trained_on: Literal["demo"] | None = Field(
        default=None,
        description="Only where the model learned from the demo platform: the answer is none "
        "about a service of yours yet.",
    )
    trained_on_reason: str = Field(
        default="", description="Only beside trained_on: what it means, and how long it lasts."
    )
    moved: list[str] = Field(
        default_factory=list,
        description="Only for a study: the parameters that the safety policy moved.",
    )
    feedback: bool = Field(
        default=True,
        description="Only for families that learn: whether this decision accepts "
        "feedback. A fallback's decision does not.",
    )


def describe(app: FastAPI, families: Mapping[str, InferenceEndpoint]) -> None:
    """Make the app tell of all of it."""
    described: dict[str, Any] = {}

    def description() -> dict[str, Any]:
        if not described:
            described.update(_build(app, families))
        return described

    app.openapi = description  # type: ignore[method-assign] # FastAPI's own way to extend it


def _build(app: FastAPI, families: Mapping[str, InferenceEndpoint]) -> dict[str, Any]:
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        routes=app.routes,
        servers=app.servers,
    )
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas |= _schemas([Error, Online, Interval, SafetyShown, Meta])
    schemas |= _schemas([TelemetryRows, TelemetryColumns, VectorsQuery, DatasetQuery, PolicyCheck])
    schemas |= _schemas([ConfigPatch, DraftBody, PolicyDraftBody])
    for family in families.values():
        schemas |= _schemas([BodyReader(family).many, family.body, family.data])
        schemas[_answer(family)] = _answer_schema(family)
        found["paths"][family.path] = {"post": _inference(family)}
    components["securitySchemes"] = {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "Bearer": {"type": "http", "scheme": "bearer"},
    }
    for path, methods in found["paths"].items():
        for operation in methods.values():
            _add_refusals(path, operation)
    return found


def _schemas(models: list[type[BaseModel]]) -> dict[str, Any]:
    """Write the models' schemas, as they are validated."""
    modes = [(model, "validation") for model in models]
    _, defined = models_json_schema(modes, ref_template=REF)  # type: ignore[arg-type] # a list of pairs is one
    definitions: dict[str, Any] = defined["$defs"]
    return definitions


def _answer(family: InferenceEndpoint) -> str:
    return family.data.__name__.removesuffix("Data") + "Answer"


def _answer_schema(family: InferenceEndpoint) -> dict[str, Any]:
    parts: dict[str, type[BaseModel]] = {
        "data": family.data,
        "interval": Interval,
        "safety": SafetyShown,
        "meta": Meta,
    }
    return {
        "type": "object",
        "title": _answer(family),
        "required": list(parts),
        "additionalProperties": False,
        "properties": {name: _ref(model.__name__) for name, model in parts.items()}
        | {"interval": {"anyOf": [_ref(Interval.__name__), {"type": "null"}]}},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": REF.format(model=name)}


def _inference(family: InferenceEndpoint) -> dict[str, Any]:
    one, many = family.body.__name__, BodyReader(family).many.__name__
    answer = _ref(_answer(family))
    # Of many rows some may be refused, each in its own place: by the family, or by the policy.
    item = {"oneOf": [answer, _ref("Error")]}
    return {
        "tags": ["inference"],
        "summary": family.summary,
        "operationId": f"infer_{family.name}",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"oneOf": [_ref(one), _ref(many)]}}},
        },
        "responses": {
            "200": {
                "description": "The answer; for `rows`, a list of them in the same order.",
                "content": {
                    "application/json": {
                        "schema": {"oneOf": [answer, {"type": "array", "items": item}]}
                    }
                },
            }
        },
    }


def _add_refusals(path: str, operation: dict[str, Any]) -> None:
    for status, why in REFUSALS.items():
        if path == "/health" and status in ("401", "403"):
            continue
        content = {"application/json": {"schema": _ref("Error")}}
        if status in operation["responses"] and status != "422":
            continue
        operation["responses"][status] = {"description": why, "content": content}
    if path != "/health":
        operation["security"] = [{"ApiKey": []}, {"Bearer": []}]
