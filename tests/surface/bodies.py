"""The bodies that docs/endpoints.md shows, and those of the contract."""

import json
import re
from collections.abc import Mapping
from typing import Any

Bodies = dict[str, dict[str, Any]]


def example_bodies(page: dict[str, Any]) -> Bodies:
    """Give the first example of each endpoint that takes a body of JSON, by its path."""
    return {
        path: _example(page, content["application/json"]["schema"])
        for path, methods in sorted(page["paths"].items())
        for operation in methods.values()
        for content in (operation.get("requestBody", {}).get("content", {}),)
        if "application/json" in content
    }


def _example(page: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Give that of one row where rows may come as a list too."""
    one = schema.get("oneOf", [schema])[0]
    name = one["$ref"].rpartition("/")[2]
    example: dict[str, Any] = page["components"]["schemas"][name]["examples"][0]
    return example


def as_documented(bodies: Mapping[str, Any]) -> str:
    return "\n".join(f"```http\nPOST {path}\n{json.dumps(bodies[path])}\n```" for path in bodies)


def documented_bodies(text: str) -> Bodies:
    blocks = re.findall(r"^```http\nPOST (/\S+)\n(.+)\n```$", text, re.MULTILINE)
    return {path: json.loads(body) for path, body in blocks}
