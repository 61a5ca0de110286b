"""The shapes of what comes in and goes out, as JSON Schema, each written as one line of names."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

DECIMAL = r"^-?[0-9]+(\.[0-9]+)?$"
_KINDS: dict[str, Schema] = {
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "flag": {"type": "boolean"},
    "decimal": {"type": "string", "pattern": DECIMAL},
    "decimal-or-none": {"type": "string", "pattern": r"^(-?[0-9]+(\.[0-9]+)?)?$"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "facts": {"type": "object"},
    "list": {"type": "array", "items": {"type": "object"}},
    "numbers": {"type": "object", "additionalProperties": {"type": "integer"}},
    "words": {"type": "object", "additionalProperties": {"type": "string"}},
}


def shape(line: str, **nested: Schema) -> Schema:
    """The schema of an object, from words such as ``net_lots:integer`` or ``cost:decimal?``.

    A question mark says that it may be null, a star that it may be missing. ``nested`` are the
    schemas of other names.
    """
    properties: dict[str, Schema] = {}
    required = []
    for word in line.split():
        name, _, kind = word.partition(":")
        if not kind.endswith("*"):
            required.append(name)
        found = _KINDS[kind.rstrip("?*")]
        if kind.endswith("?"):
            found = {**found, "type": [found["type"], "null"]}
        properties[name] = found
    properties |= nested
    return {
        "type": "object",
        "properties": properties,
        "required": [*required, *nested],
        "additionalProperties": False,
    }


def listed(schema: Schema) -> Schema:
    """A list of such objects."""
    return {"type": "array", "items": schema}


def needing(schema: Schema, *names: str) -> Schema:
    """The same object, of which only these names are always there."""
    return {**schema, "required": list(names)}


_STATE = "durability:text durability_reasons:texts trouble:texts"
_MONEY = "realised:decimal unrealised:decimal total:decimal spread:decimal inventory:decimal"
_EXPOSURE = (
    "exposure_mode:text currency:text? unit:text limit:decimal long:decimal short:decimal"
    " long_free:decimal short_free:decimal limit_units:integer long_units:integer"
    " short_units:integer long_free_units:integer short_free_units:integer waiting_long:texts"
    " waiting_short:texts"
)
_RESERVATIONS = listed(
    shape(
        "symbol:text quote_id:text long_units:integer short_units:integer expires_ms:integer?"
        " long:decimal short:decimal"
    )
)
POSITION = shape(
    "symbol:text net_lots:integer net_quantity:decimal position_limit_lots:integer cost:decimal"
    " average_cost:decimal? cash:decimal realised:decimal unrealised:decimal profit:decimal"
    " spread_earned:decimal inventory_profit:decimal currency:text? mark:decimal mark_source:text"
    " last_price:decimal? last_fill_id:text? position_version:integer fill_seq:integer"
    " updated_ms:integer"
)
QUOTE = shape(
    "symbol:text active:flag quote_id:text? quote_version:integer position_version:integer?"
    " bid:decimal? bid_ticks:integer? bid_lots:integer bid_quantity:decimal bid_size_lots:integer"
    " ask:decimal? ask_ticks:integer? ask_lots:integer ask_quantity:decimal ask_size_lots:integer"
    " expires_ms:integer? ttl_ms:integer? maker_id:text? outcome:text? mode:text halted:text?"
    " frozen:text? frozen_until_ms:integer? retired:flag"
)
EXPOSURE = shape(f"{_EXPOSURE} {_STATE}", reservations=_RESERVATIONS)
STATUS = shape(
    "now_ms:integer symbols:integer quotes_active:integer orders:integer fills_committed:integer"
    f" lag_ms:numbers halted:words partitions:list nodes:list streams:numbers {_STATE}",
    modes=listed(shape("symbol:text mode:text why:text who:text since_ms:integer")),
    profit=listed(shape(f"{_MONEY} currency:text")),
    exposure=shape(_EXPOSURE, reservations=_RESERVATIONS),
    processes=listed(
        shape(
            "name:text kind:text pid:integer? state:text silent_ms:integer? restarts:integer"
            " rate_per_s:integer? count:integer lag_ms:integer?"
        )
    ),
)
FILL = shape(
    "time:text fill_id:text symbol:text side:text quantity:decimal price:decimal notional:decimal"
    " currency:text? spread:decimal? client_id:text order_id:text quote_id:text"
)
PROFIT = shape(
    "day:text* hour:text* symbol:text* currency:text? profit:decimal spread_earned:decimal"
    " inventory_profit:decimal fills:integer volume:decimal quantity:decimal* net_quantity:decimal*"
    " mark:decimal*"
)
AUDIT = shape(
    f"ok:flag now_ms:integer system_id:text created_ms:integer {_STATE}",
    checks=listed(
        shape(
            "name:text ok:flag checked:numbers violations:texts violation_count:integer notes:texts"
        )
    ),
)
STORY = shape(
    f"symbol:text now_ms:integer now:facts notes:texts {_STATE}",
    steps=listed({"type": "object", "required": ["kind", "ts_ms", "after_ms"]}),
)
_REPORT = (
    "client_id:text order_id:text symbol:text side:text quantity:decimal limit_price:decimal"
    " status:text reason:text reason_text:text filled_quantity:decimal leaves_quantity:decimal"
    " canceled_quantity:decimal price:decimal-or-none fill_id:text quote_id:text duplicate:flag"
    " ts_ms:integer"
)
REPORT = shape(f"{_REPORT} {_STATE}")
_CHANGES = listed(
    shape("symbol:text before:text after:text holds:text halted:text ended:text thawed:text")
)
CHANGED = shape(f"quotes_withdrawn:texts missed:texts lines:texts {_STATE}", changes=_CHANGES)
SESSION = shape("role:text session:text")
_ERROR = "error:text message:text"
_DOWN = f"{_ERROR} down:texts"
#: The first order of an id that was used again: what is not known of it is empty text.
FIRST_ORDER = shape(
    "content:text? symbol:text side:text quantity:decimal-or-none limit_price:decimal-or-none"
    " status:text reason:text reason_text:text filled_quantity:decimal-or-none"
    " leaves_quantity:decimal-or-none canceled_quantity:decimal-or-none price:decimal-or-none"
    " fill_id:text quote_id:text"
)
#: The forms of errors, by the names that the description gives them.
ERRORS: dict[str, Schema] = {
    "Error": shape(_ERROR),
    "Unavailable": shape(_DOWN),
    "OrderRejected": needing(shape(f"{_ERROR} {_REPORT} {_STATE}"), "error", "message"),
    "OrderConflict": needing(
        shape(f"{_ERROR} {_REPORT} {_STATE}", first_order=FIRST_ORDER), "error", "message", "reason"
    ),
    "OrderUnanswered": shape(f"{_DOWN} may_be_executed:flag"),
    "ChangeUnavailable": needing(
        shape(f"{_DOWN} may_be_done:flag quotes_withdrawn:texts missed:texts", changes=_CHANGES),
        *("error", "message", "down", "may_be_done"),
    ),
}
ID, SYMBOL = r"^[A-Za-z0-9._-]{1,64}$", r"^[A-Z0-9._-]{1,16}$"
#: A number is read as the text that it is.
_NUMBER: Schema = {
    "type": ["string", "number"],
    "pattern": r"^[0-9]{1,20}(\.[0-9]{1,20})?$",
    "exclusiveMinimum": 0,
}
ORDER: Schema = {
    "type": "object",
    "properties": {
        "client_id": {"type": "string", "pattern": ID},
        "order_id": {"type": "string", "pattern": ID},
        "symbol": {"type": "string", "pattern": SYMBOL},
        "side": {"enum": ["buy", "sell"]},
        "quantity": _NUMBER,
        "limit_price": _NUMBER,
    },
    "required": ["order_id", "symbol", "side", "quantity", "limit_price"],
    "additionalProperties": False,
}


def _mode_change(symbols: Schema, of_all: bool) -> Schema:
    """A change of mode: of named symbols, or of all."""
    return {
        "type": "object",
        "properties": {
            "symbols": {
                "type": "array",
                "items": {"type": "string", "pattern": SYMBOL},
                **symbols,
            },
            "all": {"const": of_all},
            "who": {"type": "string", "pattern": ID},
            "why": {"type": "string", "minLength": 1, "maxLength": 200},
        },
        "required": ["all" if of_all else "symbols", "why"],
        "additionalProperties": False,
    }


MODE_CHANGE: Schema = {
    "oneOf": [
        _mode_change({"minItems": 1, "maxItems": 256}, of_all=False),
        _mode_change({"maxItems": 0}, of_all=True),
    ]
}
TOKEN = shape("token:text")
