"""Every error of the package, as one tree.

::

    MMError
    ├── UsageError          the caller's input breaks a rule; exit status 2
    │   ├── ConfigError     a configuration that cannot be used
    │   └── ValueRefused    a number, price, id or symbol that breaks its rule
    ├── SystemRefused       the server or the data is not one this system may use
    │   ├── DurabilityRefused   persistence settings weaker than required
    │   ├── ConfigDiffers       the keys hold a system with another configuration
    │   ├── ForeignSystem       the keys hold another system than the one expected, or none
    │   ├── ForeignKeys         the keys belong to something else
    │   ├── ArchiveBroken       the file of archived records is missing, altered or too old
    │   └── NoRoom              there is no room for the copy by which a stopped system is read
    ├── Unavailable         no server answers now; waiting may help
    │   └── NotRunning          nothing runs in the data directory
    ├── ProposalRefused     ``place.lua`` refused a proposal
    ├── RuleFault           a quote rule raised, or returned what is no quote
    └── TimedOut            an answer did not come in time
"""

from __future__ import annotations

import shlex

#: The most characters of a value that the text of an error shows.
MAX_SHOWN = 200


def shown(value: object) -> str:
    """A value as the text of an error shows it: its ``repr``, cut when it is very long."""
    try:
        text = repr(value)
    except ValueError:
        # Python refuses to write out integers of thousands of digits.
        return "a number of thousands of digits"
    return shortened(text)


def shortened(text: str) -> str:
    """The text, cut when it is very long."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text)} characters)"


def shown_path(path: object) -> str:
    """A path as a text for people shows it: as a shell reads it, on one line."""
    text = str(path)
    return shlex.quote(text) if text.isprintable() else repr(text)


class MMError(Exception):
    """Root of the tree. Its text is written for the person at the keyboard."""


class UsageError(MMError):
    """The caller's input breaks a rule. The text names the value and the rule."""


class ExtraMissing(UsageError):
    """What was asked for needs a library that an extra of the package brings."""

    def __init__(self, needing: str, library: str, extra: str) -> None:
        super().__init__(
            f"{needing} needs {library}: install the package with its extra `{extra}`:"
            f" pip install '.[{extra}]' in its checkout"
        )


class ConfigError(UsageError):
    """A configuration that cannot be used."""


class ValueRefused(UsageError):
    """A number, price, id or symbol that breaks its rule."""


class SystemRefused(MMError):
    """The server or its data is not one this system may use. Waiting does not help."""


class DurabilityRefused(SystemRefused):
    """The persistence settings of the server are weaker than the required durability (R18)."""


class ConfigDiffers(SystemRefused):
    """The keys hold a system that runs with another configuration."""


class ForeignSystem(SystemRefused):
    """The keys hold another system than the one that this program belongs to, or none (R21)."""


class ForeignKeys(SystemRefused):
    """Keys with this prefix exist, but no configuration. So another program owns them."""


class ArchiveBroken(SystemRefused):
    """The archive is missing, altered, older than the ledger, or cannot be read or written."""


class NoRoom(SystemRefused):
    """There is no room for the private copy by which a stopped system is read."""


class Unavailable(MMError):
    """No server answers at the address now. Trying again may help."""


class NotRunning(Unavailable):
    """Nothing runs in the data directory: no server answers there, and no `mm up` starts one."""


class TimedOut(MMError):
    """An answer did not come within the time allowed."""


class RuleFault(MMError):
    """A quote rule raised an error, or returned what is no quote."""


class ProposalRefused(MMError):
    """``place.lua`` refused a proposal and changed nothing.

    ``code`` is one of ``mm.market.REFUSALS``, ``detail`` the values that were compared.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code} {detail}".strip())
        self.code = code
        self.detail = detail
