"""The application: the routes, and what handles each operation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import TypeAlias

from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mm.errors import MMError
from mm.gateway import control, reading
from mm.gateway.access import Access, Caller, check_origin, require, unauthorized
from mm.gateway.answers import (
    JSON,
    Headers,
    Refused,
    check_names,
    on_error,
    on_fault,
    read_object,
    take_text,
)
from mm.gateway.feed import Feed
from mm.gateway.links import Links
from mm.gateway.metrics import Metrics
from mm.gateway.openapi import openapi_document
from mm.gateway.operations import OPERATIONS, Operation
from mm.gateway.orders import Orders
from mm.gateway.reading import Words, check_known
from mm.gateway.report_events import parse_place
from mm.gateway.reports import Reports
from mm.gateway.streams import EventStream, Source, Streams
from mm.host import System
from mm.market import check_id
from mm.store import partitions_of

Handler: TypeAlias = Callable[[Request, Caller], Awaitable[ASGIApp]]
#: Who asks where everybody may.
NOBODY = Caller("viewer")
#: The files of the page: name -> content type.
FILES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "parts.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
#: The paths that show the page; its own code tells one from the other.
PAGES = ("/", "/symbols/{symbol}")


class Gateway:
    """One gateway to a system: call it on the event loop that serves it.

    ``order_s`` is how long an order may wait for its report, and ``max_streams`` how many streams
    may be open.
    """

    def __init__(self, system: System, access: Access, order_s: float, max_streams: int) -> None:
        self.access = access
        self.streams = Streams(max_streams)
        self.links = Links(system)
        self.orders = Orders(self.links, order_s)
        self.reports = Reports(self.links)
        self.feed = Feed(self.links)
        self.metrics = Metrics(self.links)
        self._handlers: dict[str, Handler] = {
            "status": lambda *_: reading.answer(self.links, reading.status),
            "positions": lambda *_: reading.answer(self.links, reading.positions),
            "quotes": lambda *_: reading.answer(self.links, reading.quotes),
            "exposure": lambda *_: reading.answer(self.links, reading.exposure),
            "fills": lambda request, _: reading.fills(self.links, request),
            "profit": lambda request, _: reading.profit(self.links, request),
            "audit": self.metrics.audit,
            "metrics": self.metrics.scrape,
            "explain": lambda request, _: reading.explained(self.links, request),
            "live": self._live,
            "order": self.orders.post,
            "reports": self._reports,
            "halt": lambda request, _: control.post(self.links, request, "halted"),
            "resume": lambda request, _: control.post(self.links, request, "active"),
            "session": self._session,
            "begin": self._begin,
            "end": self._end,
            "openapi": self._openapi,
        }

    def app(self) -> ASGIApp:
        """The application with all routes."""
        by_path: dict[str, dict[str, Operation]] = {}
        for one in OPERATIONS:
            by_path.setdefault(one.path, {})[one.method] = one
        routes = [
            Route(path, self._endpoint(found), methods=list(found))
            for path, found in by_path.items()
        ]
        routes += [Route(path, _page, methods=["GET"]) for path in PAGES]
        routes.append(Route("/static/{name}", _file, methods=["GET"]))
        expected = (Refused, MMError, RedisError, OSError, HTTPException)
        handlers = {**dict.fromkeys(expected, on_error), Exception: on_fault}
        made = Starlette(routes=routes, exception_handlers=handlers)
        # A path with a slash behind it is another one. A redirection would be to whatever a Host
        # header names.
        made.router.redirect_slashes = False
        return Headers(made)

    def close(self) -> None:
        """End streams, desks and connections."""
        self.streams.stop()
        self.orders.close()
        self.reports.close()
        self.metrics.close()
        self.links.close()

    def _endpoint(self, found: dict[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            one = found[method]
            caller = NOBODY
            if one.roles:
                caller = require(self.access.caller(request), *one.roles)
            if not any(each.place == "query" for each in one.parameters):
                Words.of(request)
            # An ASGI application is an answer, too.
            return await self._handlers[one.name](request, caller)  # type: ignore[return-value]

        return endpoint

    # --- streams

    async def _live(self, request: Request, _caller: Caller) -> ASGIApp:
        symbol = Words.of(request, "symbol").one("symbol") or ""
        if symbol:
            await self.links.run(lambda: check_known(self.links.scripts(), symbol))
        return await self._stream(lambda wake: self.feed.open(symbol, wake), self.feed.left)

    async def _reports(self, request: Request, caller: Caller) -> ASGIApp:
        named = Words.of(request, "client_id").one("client_id")
        client_id = check_id("client_id", named or caller.client_id)
        if caller.role == "client" and client_id != caller.client_id:
            raise Refused(403, "forbidden", f"the token is that of {caller.client_id}")
        word = request.headers.get("last-event-id")
        begin = None
        if word is not None:
            every = await self.links.run(lambda: partitions_of(self.links.scripts()))
            begin = parse_place("Last-Event-ID", word, len(every))
        return await self._stream(
            lambda wake: self.reports.open(client_id, wake, begin), self.reports.left
        )

    async def _stream(
        self,
        make: Callable[[asyncio.Event], Awaitable[Source]],
        closed: Callable[[asyncio.Event], None],
    ) -> ASGIApp:
        return await EventStream.open(self.streams, make, closed)

    # --- the page's session

    async def _session(self, request: Request, _caller: Caller) -> JSON:
        if self.access.cookie not in request.cookies:
            return JSON({"role": "", "session": ""})
        caller = self.access.caller(request)
        return JSON({"role": caller.role, "session": caller.session})

    async def _begin(self, request: Request, _caller: Caller) -> JSON:
        scheme = check_origin(request)
        body = await read_object(request)
        check_names(body, ("token",))
        found = self.access.of_token(take_text(body, "token").strip())
        if found is None:
            raise unauthorized("the token is not known")
        require(found, "viewer", "operator")
        answer = JSON({})
        caller = self.access.begin(found, answer, scheme == "https")
        begun = JSON({"role": caller.role, "session": caller.session})
        begun.headers["set-cookie"] = answer.headers["set-cookie"]
        return begun

    async def _end(self, _request: Request, _caller: Caller) -> JSON:
        answer = JSON({"ended": True})
        self.access.end(answer)
        return answer

    async def _openapi(self, _request: Request, _caller: Caller) -> JSON:
        return JSON(openapi_document())


# --- files


async def _page(_request: Request) -> Response:
    return Response(_static("index.html"), media_type="text/html", headers=_KEPT)


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in FILES:
        raise Refused(404, "not_found", "there is nothing at this path")
    return Response(_static(name), media_type=FILES[name], headers=_KEPT)


#: A browser asks each time whether a file is another one.
_KEPT = {"Cache-Control": "no-cache"}


def _static(name: str) -> bytes:
    assert re.fullmatch(r"[a-z]+\.[a-z]+", name)
    return resources.files("mm.gateway").joinpath("static", name).read_bytes()
