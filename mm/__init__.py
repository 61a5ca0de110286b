"""mm: a market-maker trading system on Redis whose state survives being killed anywhere.

What a program needs to send orders is one import::

    from mm import Order, OrderClient

Each name is imported from its package when it is first used, so ``import mm`` alone is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mm.errors import MMError, SystemRefused, TimedOut, Unavailable, ValueRefused
    from mm.market import Order, Report
    from mm.orders import Answer, OrderClient
    from mm.store import Keys

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Keys",
    "MMError",
    "Order",
    "OrderClient",
    "Report",
    "SystemRefused",
    "TimedOut",
    "Unavailable",
    "ValueRefused",
    "__version__",
]

_PACKAGES = {
    "Answer": "mm.orders",
    "Keys": "mm.store",
    "MMError": "mm.errors",
    "Order": "mm.market",
    "OrderClient": "mm.orders",
    "Report": "mm.market",
    "SystemRefused": "mm.errors",
    "TimedOut": "mm.errors",
    "Unavailable": "mm.errors",
    "ValueRefused": "mm.errors",
}

if not TYPE_CHECKING:  # A type checker that saw this function would accept any name.

    def __getattr__(name: str) -> object:
        """Import a name of ``__all__`` at its first use."""
        if name not in _PACKAGES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_PACKAGES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
