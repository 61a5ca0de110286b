"""Ways to break each invariant by editing keys or the archive, as a fault would or a hand."""

from tests.kit.breaks.ledger import TRIMMED, archived_lots_altered
from tests.kit.breaks.orders import (
    first_outcome,
    order_executed_twice,
    order_waits,
    outcome_forgotten,
)
from tests.kit.breaks.quotes import total_off
from tests.kit.breaks.registry import (
    BREAKS,
    UNREADABLE,
    Break,
    add,
    archive_file,
    edit_archive,
    quoted,
    rewrite,
    set_field,
)

__all__ = [
    "BREAKS",
    "TRIMMED",
    "UNREADABLE",
    "Break",
    "add",
    "archive_file",
    "archived_lots_altered",
    "edit_archive",
    "first_outcome",
    "order_executed_twice",
    "order_waits",
    "outcome_forgotten",
    "quoted",
    "rewrite",
    "set_field",
    "total_off",
]
