"""The words on the wire that say why an order did not fill or a quote was not placed."""

from __future__ import annotations

#: The reason of an order whose id another order of its client had before.
CONFLICT = "order_id_conflict"

#: The trading modes, from the loosest to the strictest (R22).
MODES = ("active", "reducing", "flattening", "halted")


def own_mode(mode: str, flattened: bool) -> str:
    """A symbol's own mode: a flattening one that was flat meanwhile is halted (R22)."""
    return MODES[-1] if mode == "flattening" and flattened else mode


def strictest(*modes: str) -> str:
    """The mode that holds where several are set; a word that is no mode is as strict as can be."""
    known = [mode if mode in MODES else MODES[-1] for mode in modes]
    return max(known, key=MODES.index)


#: Why an order did not fill in full although it is one: reason in its report -> what it means.
CANCELED = {
    "no_quote": "the symbol has no quote on the side the order needs",
    "expired": "the symbol's quote had reached its expiry",
    "not_crossing": "the limit price does not reach the quote's price",
    "exhausted": "the quote's remaining quantity was smaller than the order",
    "halted": "the symbol is halted, by an operator or after an integrity error",
}
#: The reason of an order that was refused in the inbox of another client.
FOREIGN = "foreign_client"
#: Why an order was rejected. Each such order is a dead letter, too.
REJECTED = {
    CONFLICT: "its order_id was used before, for another order of this client",
    FOREIGN: "it names another client than the one whose inbox it came from",
    "unknown_symbol": "no such symbol is configured",
    "malformed": "not five words: client_id symbol side qty_lots limit_ticks",
    "bad_client_id": "client_id is not 1 to 64 of A-Z a-z 0-9 . _ -",
    "bad_order_id": "order_id is not 1 to 64 of A-Z a-z 0-9 . _ -",
    "bad_symbol": "symbol is not 1 to 16 of A-Z 0-9 . _ -",
    "bad_side": "side is neither buy nor sell",
    "quantity_not_integer": "qty_lots is not a plain decimal integer",
    "quantity_not_positive": "qty_lots is zero or negative",
    "quantity_too_large": "qty_lots is above 2^53 - 1",
    "price_not_integer": "limit_ticks is not a plain decimal integer",
    "price_not_positive": "limit_ticks is zero or negative",
    "price_too_large": "limit_ticks is above 2^53 - 1",
}
#: Why an order did not fill in full: reason in its report -> what it means.
REASONS = CANCELED | REJECTED

#: Why ``place.lua`` refused a proposal: code of its error -> the rule that the proposal breaks.
REFUSALS = {
    "UNKNOWN_SYMBOL": "the symbol must be a configured one",
    "BAD_PROPOSAL": "exact integers, 0 < bid < ask, and a trigger of rule R4 (R1, R2, R4)",
    "HALTED": "no quote while the symbol is halted (R15, R22)",
    "STALE_CONFIG": "the proposal names the current version of the configuration (R5, R23)",
    "STALE_HISTORY": "the proposal was computed in the server's present history (R5, R28)",
    "STALE_POSITION": "the proposal names the current committed position version (R5)",
    "UNCOMMITTED_FILLS": "no emitted fill may be uncommitted (R5)",
    "STALE_QUOTE": "the proposal names the symbol's newest quote version (R5)",
}
