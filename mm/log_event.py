"""An event for the log: its name and its facts, as one line of text or as fields."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LogEvent:
    """What happened, and facts by name. It is logged as the message of a record.

    Its text is ``name fact=value ...``. A value that is not one plain word is quoted, so that the
    text is one line whatever a value holds.
    """

    name: str
    facts: Mapping[str, object]

    def __str__(self) -> str:
        words = [f"{_word(name)}={_word(value)}" for name, value in self.facts.items()]
        return " ".join([self.name, *words])


def log_details(log: logging.Logger, event: str, every: Iterable[Mapping[str, object]]) -> None:
    """Log the event of each of these facts as a detail; they are not read without details."""
    for facts in every if log.isEnabledFor(logging.DEBUG) else ():
        log.debug(LogEvent(event, facts))


def _word(value: object) -> str:
    text = str(value)
    plain = text and text.isprintable() and not set(text) & set(' "=')
    return text if plain else json.dumps(text)
