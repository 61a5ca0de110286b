"""The operations of the API: one table, from which both the routes and the description are made."""

from __future__ import annotations

from dataclasses import dataclass

from mm.facts import BY
from mm.gateway import shapes
from mm.gateway.access import Role
from mm.gateway.reading import FILLS, LAST, MAX_FILLS, MAX_LAST
from mm.gateway.shapes import Schema, listed

ALL: tuple[Role, ...] = ("viewer", "client", "operator")
READERS: tuple[Role, ...] = ("viewer", "operator")
#: What every operation may answer besides, status by status.
ALWAYS = {422: "a value breaks its rule, which is named, or a parameter is not known"}
#: What every operation that needs a token may answer besides, status by status.
COMMON = {401: "no token that is known", 403: "a token of another role", 503: "something is down"}
BODY = {
    400: "the body is no JSON",
    408: "the body came too slowly",
    413: "the body is too large",
    415: "the body is not declared as JSON",
}
_TIME = "90s, 5m, 2h or 1d ago, or an ISO time"


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation, in the query unless it says otherwise."""

    name: str
    schema: Schema
    text: str
    place: str = "query"
    needed: bool = False
    example: str = ""


@dataclass(frozen=True)
class Operation:
    """One operation. ``name`` is what handles it; ``roles`` are who may, empty for everybody.

    ``answer`` is the schema of what it answers with status 200, None for a stream or no content.
    ``errors`` says what each further status means, and ``forms`` names the form of an error that
    says more than usual.
    """

    method: str
    path: str
    name: str
    summary: str
    roles: tuple[Role, ...]
    answer: Schema | None
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    errors: tuple[tuple[int, str], ...] = ()
    forms: tuple[tuple[int, str], ...] = ()
    kind: str = "application/json"

    @property
    def statuses(self) -> dict[int, str]:
        """Each status that is an error, with what it means."""
        found = dict(ALWAYS) | (COMMON if self.roles else {})
        if self.body is not None:
            found |= BODY
        return dict(sorted((found | dict(self.errors)).items()))


_MAY_BE_DONE = ((503, "something is down; may_be_done says whether it may have been done"),)
_TEXT: Schema = {"type": "string"}
_SINCE = Parameter("since", _TEXT, f"Only what happened since: {_TIME}.", example="5m")
_UNTIL = Parameter("until", _TEXT, f"Only what happened before: {_TIME}.", example="0s")
_SYMBOLS = Parameter(
    "symbol", {"type": "array", "items": {"type": "string"}}, "Only these symbols."
)


def _count(name: str, default: int, high: int, text: str) -> Parameter:
    schema = {"type": "integer", "minimum": 1, "maximum": high, "default": default}
    return Parameter(name, schema, text)


OPERATIONS = (
    Operation(
        "GET", "/api/status", "status", "The system, as `mm status --json`.", READERS, shapes.STATUS
    ),
    Operation(
        *("GET", "/api/positions", "positions", "Committed positions, as `mm positions --json`."),
        READERS,
        listed(shapes.POSITION),
    ),
    Operation(
        *("GET", "/api/quotes", "quotes", "The active quotes, as `mm quotes --json`."),
        ALL,
        listed(shapes.QUOTE),
    ),
    Operation(
        *("GET", "/api/exposure", "exposure", "Both budgets, as `mm exposure --json`."),
        READERS,
        shapes.EXPOSURE,
    ),
    Operation(
        *("GET", "/api/fills", "fills", "The newest fills, as `mm fills --json`, oldest first."),
        READERS,
        listed(shapes.FILL),
        (_SINCE, _UNTIL, _SYMBOLS, _count("limit", FILLS, MAX_FILLS, "How many at most.")),
    ),
    Operation(
        *("GET", "/api/profit", "profit", "What each period earned, as `mm pnl --json`."),
        READERS,
        listed(shapes.PROFIT),
        (
            _SINCE,
            _UNTIL,
            _SYMBOLS,
            Parameter("by", _TEXT, f"Some of {','.join(BY)}, each once.", example="day,symbol"),
        ),
    ),
    Operation(
        *("GET", "/api/audit", "audit", "Every invariant, as `mm audit --json`."),
        READERS,
        shapes.AUDIT,
    ),
    Operation(
        *("GET", "/api/explain/{symbol}", "explain", "A symbol's story, as `mm explain --json`."),
        READERS,
        shapes.STORY,
        (
            Parameter("symbol", _TEXT, "The symbol.", "path", needed=True, example="AAPL"),
            _count("last", LAST, MAX_LAST, "How many of the newest placements."),
            _SINCE,
            Parameter("fill", _TEXT, "Only what belongs to a fill, such as AAPL-7."),
            Parameter("order", _TEXT, "Only what belongs to the fill of an order, CLIENT/ID."),
        ),
        errors=((404, "no such symbol, fill or order is known"),),
    ),
    Operation(
        *("GET", "/api/live", "live", "The frames of a page, as server-sent events."),
        READERS,
        None,
        (Parameter("symbol", _TEXT, "The page of this symbol; without it that of the market."),),
        errors=((404, "no such symbol is known"),),
        kind="text/event-stream",
    ),
    Operation(
        *("POST", "/orders", "order", "Send an order; the answer is its execution report."),
        ("client", "operator"),
        shapes.REPORT,
        body=shapes.ORDER,
        errors=(
            (409, "the order id was used before, for another order"),
            (503, "no report came; may_be_executed says whether the order may have been sent"),
        ),
        forms=((409, "OrderConflict"), (422, "OrderRejected"), (503, "OrderUnanswered")),
    ),
    Operation(
        *("GET", "/orders/reports", "reports", "A client's reports, as server-sent events."),
        ALL,
        None,
        (
            Parameter("client_id", _TEXT, "Whose; a client's token has its own."),
            Parameter(
                "Last-Event-ID",
                _TEXT,
                "Go on after this event; 0-0 is the beginning, of all partitions.",
                place="header",
            ),
        ),
        errors=((400, "no id of an event"),),
        kind="text/event-stream",
    ),
    Operation(
        *("POST", "/halt", "halt", "Halt symbols, or all, as `mm halt` does."),
        ("operator",),
        shapes.CHANGED,
        body=shapes.MODE_CHANGE,
        errors=_MAY_BE_DONE,
        forms=((503, "ChangeUnavailable"),),
    ),
    Operation(
        *("POST", "/resume", "resume", "Let symbols trade again, as `mm resume` does."),
        ("operator",),
        shapes.CHANGED,
        body=shapes.MODE_CHANGE,
        errors=_MAY_BE_DONE,
        forms=((503, "ChangeUnavailable"),),
    ),
    Operation(
        *(
            "GET",
            "/session",
            "session",
            "Whose the page's session is, if there is one.",
        ),
        (),
        shapes.SESSION,
        errors=((401, "the session is over"),),
    ),
    Operation(
        *("POST", "/session", "begin", "Begin the page's session with a token."),
        (),
        shapes.SESSION,
        (Parameter("Origin", _TEXT, "The page of this server.", "header", needed=True),),
        body=shapes.TOKEN,
        errors=((401, "the token is not known"), (403, "another page asks, or a client's token")),
    ),
    Operation(
        *("DELETE", "/session", "end", "End the page's session."),
        READERS,
        shapes.shape("ended:flag"),
    ),
    Operation(
        *("GET", "/metrics", "metrics", "The figures of the system, for Prometheus."),
        READERS,
        None,
        kind="text/plain",
    ),
    Operation(*("GET", "/openapi.json", "openapi", "This description."), (), {"type": "object"}),
)
