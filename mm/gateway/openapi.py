"""The OpenAPI description of the API, made from the table of its operations."""

from __future__ import annotations

from typing import Any

from mm import __version__
from mm.gateway.operations import OPERATIONS, Operation
from mm.gateway.shapes import ERRORS, Schema

VERSION = "3.1.0"
#: The status while something is down.
UNAVAILABLE = 503
TEXT = (
    "Positions, quotes, orders and control of a market-maker trading system. Names are those of the"
    " commands' `--json`. Prices, quantities and money are exact decimals as text; names that end"
    " in `_ms` are milliseconds since 1970. Every error is a JSON object with `error`, a word, and"
    " `message`, a sentence: also 404 of other paths and 405 of other methods. Only what is no HTTP"
    " (400) or one connection too many (503) is answered in plain text. HEAD answers as GET does."
)


def openapi_document() -> dict[str, Any]:
    """The description, as it is served and as it is in ``docs/openapi.json``."""
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": VERSION,
        "info": {"title": "mm", "version": __version__, "description": TEXT},
        "paths": paths,
        "components": {
            "schemas": ERRORS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "responses": {"200": _answer(one)}
        | {str(status): _error(one, status, text) for status, text in one.statuses.items()},
    }
    if one.roles:
        found["security"] = [{"token": []}]
        found["description"] = f"For the token of: {', '.join(one.roles)}."
    if one.parameters:
        found["parameters"] = [
            {
                "name": each.name,
                "in": each.place,
                "required": each.needed,
                "description": each.text,
                "schema": each.schema,
            }
            | ({"example": each.example} if each.example else {})
            for each in one.parameters
        ]
    if one.body is not None:
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": one.body}},
        }
    return found


def _answer(one: Operation) -> dict[str, Any]:
    schema = one.answer if one.answer is not None else {"type": "string"}
    return {"description": one.summary, "content": {one.kind: {"schema": schema}}}


def _error(one: Operation, status: int, text: str) -> dict[str, Any]:
    usual = "Unavailable" if status == UNAVAILABLE else "Error"
    schema: Schema = {"$ref": f"#/components/schemas/{dict(one.forms).get(status, usual)}"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}
