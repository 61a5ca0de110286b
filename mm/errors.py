"""Every error of the package, as one tree.

::

    MMError
    ├── UsageError          the caller's input breaks a rule; exit status 2
    │   ├── ConfigError     a configuration that cannot be used
    │   └── ValueRefused    a number, price, id or symbol off its rule
    ├── SystemRefused       the server or the data is not one this system may use
    │   ├── DurabilityRefused   persistence settings weaker than asked for
    │   ├── ConfigDiffers       the keys hold a system with another configuration
    │   └── ForeignKeys         the keys belong to something else
    ├── Unavailable         no server answers there now; waiting may help
    ├── ProposalRefused     the placing script refused a quote; carries the rule's code
    └── TimedOut            an answer did not come in time
"""

from __future__ import annotations

#: Longest value that an error's text shows.
MAX_SHOWN = 200


def shown(value: object) -> str:
    """A value as an error's text shows it: its ``repr``, cut when it is very long."""
    try:
        told = repr(value)
    except ValueError:
        # Python refuses to write out integers of thousands of digits.
        return "a number of thousands of digits"
    return told if len(told) <= MAX_SHOWN else f"{told[:MAX_SHOWN]}... ({len(told)} characters)"


class MMError(Exception):
    """Root of the tree; its text is meant for the person at the keyboard."""


class UsageError(MMError):
    """The caller's input breaks a rule; the text names the value and the rule."""


class ConfigError(UsageError):
    """A configuration that cannot be used."""


class ValueRefused(UsageError):
    """A number, price, id or symbol off its rule."""


class SystemRefused(MMError):
    """The server or its data is not one this system may use."""


class DurabilityRefused(SystemRefused):
    """The server's persistence settings are weaker than the durability asked for."""


class ConfigDiffers(SystemRefused):
    """The keys hold a system that runs with another configuration."""


class ForeignKeys(SystemRefused):
    """Keys of this prefix exist but no configuration: they are not this system's."""


class Unavailable(MMError):
    """No server answers at the address now; trying again may help."""


class TimedOut(MMError):
    """An answer did not come within the time allowed."""


class ProposalRefused(MMError):
    """The placing script refused a quote and changed nothing.

    ``code`` is the rule's name (see ``docs/reference.md``), ``detail`` the values compared.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code} {detail}".strip())
        self.code = code
        self.detail = detail
