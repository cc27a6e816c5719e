"""The page about the HTTP API, from its OpenAPI description: no script of anyone else's is needed to read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ParameterView:
    name: str
    where: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class OperationView:
    method: str
    path: str
    summary: str
    parameters: tuple[ParameterView, ...]


def operations(openapi: Mapping[str, Any]) -> Iterator[OperationView]:
    """Yield the operations of an OpenAPI 3.1 description, in its order."""
    schemas = openapi.get("components", {}).get("schemas", {})
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            parameters = [_parameter(schemas, p["name"], p["in"], p) for p in operation.get("parameters", [])]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                body = _resolved(schemas, content["schema"])
                parameters += [
                    _parameter(schemas, name, "body", {"schema": schema})
                    for name, schema in body.get("properties", {}).items()
                ]
            summary = operation.get("description") or operation.get("summary", "")
            yield OperationView(method.upper(), path, summary, tuple(parameters))


def _parameter(schemas: Mapping[str, Any], name: str, where: str, described: Mapping[str, Any]) -> ParameterView:
    schema = _resolved(schemas, described.get("schema", {}))
    default = schema.get("default", described.get("schema", {}).get("default"))
    meaning = described.get("description") or schema.get("description", "")
    return ParameterView(name, where, _type(schemas, schema), "" if default in (None, "") else str(default), meaning)


def _resolved(schemas: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return schemas[name] if name else schema


def _type(schemas: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    schema = _resolved(schemas, schema)
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " | ".join(_type(schemas, part) for part in schema["anyOf"] if part.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {_type(schemas, schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("const") or schema.get("type", "any"))
