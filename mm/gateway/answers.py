"""Answers: JSON, errors in words, and the headers that every answer has."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mm.errors import MMError, UsageError, shortened, shown
from mm.store import trouble_of

#: The most bytes of a request's body, and the seconds that it may take to come.
MAX_BODY, BODY_S = 16_384, 10.0
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Refused(Exception):
    """A request that is answered with an error: its status, a word for programs, and a sentence."""

    def __init__(
        self,
        status: int,
        error: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})
        self.facts = {"error": error, "message": message, **(facts or {})}


class JSON(Response):
    """A JSON answer, which nobody may keep."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of the answer."""
        return json.dumps(content).encode()

    def __init__(
        self, content: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, status, {"Cache-Control": "no-store", **(headers or {})})


def unavailable(words: str, **facts: object) -> Refused:
    """The refusal (503) while something is down, which the words name."""
    return Refused(503, "unavailable", words, {"Retry-After": "1"}, {"down": [words], **facts})


def refusal_of(error: Exception) -> Refused:
    """The refusal that an error means; one that means none is raised again."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, UsageError):
        return Refused(422, "bad_value", str(error).removeprefix("--"))
    if isinstance(error, TimeoutError):
        return unavailable("the system does not answer in time")
    if isinstance(error, MMError | RedisError | OSError):
        return unavailable(trouble_of(error).words)
    raise error


def on_error(_request: Request, error: Exception) -> Response:
    """The answer to a request that an error has ended."""
    if isinstance(error, HTTPException):
        words = {404: "there is nothing at this path", 405: "the path does not take this method"}
        kind = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
        message = words.get(error.status_code, str(error.detail))
        return JSON({"error": kind, "message": message}, error.status_code, error.headers)
    found = refusal_of(error)
    return JSON(found.facts, found.status, found.headers)


def on_fault(_request: Request, _error: Exception) -> Response:
    """The answer to a request that a fault of this program has ended; the log has the fault."""
    return JSON({"error": "fault", "message": "a fault of this program: see its log"}, 500)


class Headers:
    """Adds the headers that every answer has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with the headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


# --- what comes in


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in the body; numbers stay the text that they were, so decimals are exact.

    Refused: 413 for more than ``MAX_BODY`` bytes, 408 when they do not come in time, 415 for
    another content type, and 400 for what is no JSON object.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        rule = "it must be application/json"
        raise Refused(415, "bad_content_type", f"content type {shown(kind)}: {rule}")
    try:
        raw = await asyncio.wait_for(_body(request), BODY_S)
    except TimeoutError:
        raise Refused(408, "slow", f"the body did not come within {BODY_S:.0f} s") from None
    except ClientDisconnect:
        raise Refused(400, "bad_json", "the body broke off") from None
    try:
        found = json.loads(
            raw.decode("utf-8"),
            parse_int=Number,
            parse_float=Number,
            parse_constant=_no_constant,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refused(400, "bad_json", f"the body is no JSON: {why}") from error
    if not isinstance(found, dict):
        raise Refused(400, "bad_json", "the body must be a JSON object")
    return found


class Number(str):
    """A number of a JSON text, as it stood there."""


async def _body(request: Request) -> bytes:
    too_large = Refused(413, "too_large", f"the body must have at most {MAX_BODY} bytes")
    declared = request.headers.get("content-length", "0")
    if not re.fullmatch("[0-9]{1,18}", declared) or int(declared) > MAX_BODY:
        raise too_large
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > MAX_BODY:
            raise too_large
    return bytes(found)


def _no_constant(word: str) -> object:
    raise ValueError(f"{word} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def spelled(value: object) -> str:
    """A value of a body as JSON spells it; of a list or an object only that it is one."""
    if isinstance(value, list | dict):
        return "(a list)" if isinstance(value, list) else "(an object)"
    return shortened(str(value) if isinstance(value, Number) else json.dumps(value))


def take_text(
    body: Mapping[str, Any], name: str, default: str | None = None, rule: str = "a text"
) -> str:
    """A text of the body; Refused (422) when it is missing or something else than the rule says."""
    value = body.get(name, default)
    if value is None and name not in body:
        raise Refused(422, "bad_value", f"{name}: it is missing")
    if not isinstance(value, str) or isinstance(value, Number):
        raise Refused(422, "bad_value", f"{name} {spelled(value)}: it must be {rule}")
    return value


def take_decimal(body: Mapping[str, Any], name: str) -> str:
    """The text of a decimal, which is a JSON text or number; Refused (422) for something else."""
    if isinstance(body.get(name), Number):
        return str(body[name])
    return take_text(body, name, rule="a text or a number")


def check_names(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Refused (422) for a name that is not known."""
    for name in given:
        if name not in known:
            rule = f"it must be one of {', '.join(known)}" if known else "none may be given"
            raise Refused(422, "bad_value", f"the name {shown(name)} is not known: {rule}")
