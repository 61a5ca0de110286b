"""Pure rules: numbers, records, configuration, the quote rule. No Redis and no clock."""

from mm.market.changes import SymbolChange, check_changeable, config_changes
from mm.market.config import (
    ADDED_FIELDS,
    FIRST_SCHEMA,
    INT_FIELDS,
    LIVE_MS,
    OLD_SCHEMAS,
    SCHEMA,
    Config,
)
from mm.market.config_file import (
    MARKET_FIELDS,
    TEMPLATE,
    config_toml,
    default_config,
    load_config,
)
from mm.market.durability import DURABILITIES, Durability
from mm.market.escrow import ROUND_S, Lease, Moves, Treasury, balance, round_s, shares
from mm.market.headroom import Headroom, headroom_of, headroom_text
from mm.market.model import (
    Fill,
    Order,
    Placement,
    Prices,
    Proposal,
    Report,
    Side,
    Symbol,
    Trigger,
    check_side,
)
from mm.market.numbers import (
    MAX_INT,
    check_id,
    check_int,
    check_symbol,
    exact_product,
    exact_quotient,
    from_steps,
    parse_decimal,
    to_steps,
)
from mm.market.parameters import ADDED_PARAMETERS, symbol_fields, symbol_from_store
from mm.market.partition import homes, parts
from mm.market.position import KEEP_TRADES, Position, Trade, trades_of
from mm.market.reasons import CONFLICT, MODES, REASONS, REFUSALS, own_mode, strictest
from mm.market.strategy import quote_prices
from mm.market.units import Mode, money_text, unit_of

__all__ = [
    "ADDED_FIELDS",
    "ADDED_PARAMETERS",
    "CONFLICT",
    "DURABILITIES",
    "FIRST_SCHEMA",
    "INT_FIELDS",
    "KEEP_TRADES",
    "LIVE_MS",
    "MARKET_FIELDS",
    "MAX_INT",
    "MODES",
    "OLD_SCHEMAS",
    "REASONS",
    "REFUSALS",
    "ROUND_S",
    "SCHEMA",
    "TEMPLATE",
    "Config",
    "Durability",
    "Fill",
    "Headroom",
    "Lease",
    "Mode",
    "Moves",
    "Order",
    "Placement",
    "Position",
    "Prices",
    "Proposal",
    "Report",
    "Side",
    "Symbol",
    "SymbolChange",
    "Trade",
    "Treasury",
    "Trigger",
    "balance",
    "check_changeable",
    "check_id",
    "check_int",
    "check_side",
    "check_symbol",
    "config_changes",
    "config_toml",
    "default_config",
    "exact_product",
    "exact_quotient",
    "from_steps",
    "headroom_of",
    "headroom_text",
    "homes",
    "load_config",
    "money_text",
    "own_mode",
    "parse_decimal",
    "parts",
    "quote_prices",
    "round_s",
    "shares",
    "strictest",
    "symbol_fields",
    "symbol_from_store",
    "to_steps",
    "trades_of",
    "unit_of",
]
