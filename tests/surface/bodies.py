"""The bodies that docs/endpoints.md shows, and those of the contract."""

import json
import re
from collections.abc import Mapping
from typing import Any

Bodies = dict[str, dict[str, Any]]


def example_bodies(page: dict[str, Any]) -> Bodies:
    """Give the first example of each endpoint that takes a body of JSON, such as `PUT /config`."""
    return {
        f"{method.upper()} {path}": _example(page, content["application/json"]["schema"])
        for path, methods in sorted(page["paths"].items())
        for method, operation in methods.items()
        for content in (operation.get("requestBody", {}).get("content", {}),)
        if "application/json" in content
    }


def _example(page: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Give that of one row where rows may come as a list too, or of a body that may be left out."""
    one = schema.get("oneOf", [schema])[0]
    name = one["$ref"].rpartition("/")[2]
    example: dict[str, Any] = page["components"]["schemas"][name]["examples"][0]
    return example


def as_documented(bodies: Mapping[str, Any]) -> str:
    return "\n".join(f"```http\n{each}\n{json.dumps(bodies[each])}\n```" for each in bodies)


def documented_bodies(text: str) -> Bodies:
    blocks = re.findall(r"^```http\n([A-Z]+ /\S+)\n(.+)\n```$", text, re.MULTILINE)
    return {endpoint: json.loads(body) for endpoint, body in blocks}
