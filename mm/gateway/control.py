"""Halt and resume over HTTP, as `mm halt` and `mm resume` do (R22)."""

from __future__ import annotations

import logging
from typing import Any

from redis.exceptions import RedisError
from starlette.requests import Request

from mm.errors import MMError, TimedOut, shown
from mm.facts import change_text, controlled_facts
from mm.gateway.answers import (
    JSON,
    Refused,
    check_names,
    read_object,
    refusal_of,
    spelled,
    take_text,
    unavailable,
)
from mm.gateway.links import Links
from mm.market import check_id, check_symbol
from mm.store import (
    MAX_WHY,
    OPERATOR,
    Controlled,
    Operator,
    read_identity,
    require_config,
    set_modes,
)

FIELDS = ("symbols", "all", "who", "why")
#: The most symbols that a request names.
MAX_NAMED = 256
_LOG = logging.getLogger("mm.serve")


async def post(links: Links, request: Request, mode: str) -> JSON:
    """Set the mode of symbols, or of all; the answer has the names of `mm halt --json`.

    Without an answer of the server it is a refusal (503), which says whether the change may have
    been made. One that has not begun by then is never made.
    """
    body = await read_object(request)
    check_names(body, FIELDS)
    symbols, by, why = _symbols(body), _operator(body), _why(body)
    begun = given_up = False

    def work() -> Controlled:
        nonlocal begun
        scripts = links.scripts(OPERATOR)
        config = require_config(scripts)
        for name in symbols:
            config.symbol(name)
        identity = read_identity(scripts)
        system_id = identity.system_id if identity else ""
        # In this order: so one of the two threads sees what the other has set.
        begun = True
        if given_up:
            raise TimedOut("the request has been answered meanwhile")
        return set_modes(scripts, system_id, mode, by, why, symbols)

    try:
        done = await links.run(work)
    except (MMError, RedisError, OSError) as error:
        given_up = True
        raise _unanswered(refusal_of(error), begun) from error
    facts, lines = controlled_facts(done), [change_text(change) for change in done.changes]
    _LOG.info("%s by %s: %s", mode, by.who, "; ".join(lines))
    if done.missed:
        words = f"not done everywhere: {'; '.join(done.missed)}. Ask again: what is done stays"
        raise unavailable(words, may_be_done=True, **facts)
    return JSON(facts | {"lines": lines} | (await links.state()).facts())


def _unanswered(found: Refused, begun: bool) -> Refused:
    """The refusal; one because something is down says whether the change may have been made."""
    if found.status == 503:
        words = "no answer: it may have been done, and may be asked again" if begun else "not done"
        found.facts |= {"may_be_done": begun, "message": f"{words} ({found.facts['message']})"}
    return found


def _symbols(body: dict[str, Any]) -> list[str]:
    """The symbols that are named, none for all."""
    of_all, named = body.get("all", False), body.get("symbols", [])
    if not isinstance(of_all, bool):
        raise Refused(422, "bad_value", f"all {spelled(of_all)}: it must be true or false")
    if not isinstance(named, list) or not all(type(name) is str for name in named):
        raise Refused(422, "bad_value", f"symbols {spelled(named)}: it must be a list of texts")
    if bool(named) == of_all or len(named) > MAX_NAMED:
        raise Refused(422, "bad_value", f"name 1 to {MAX_NAMED} symbols, or give all")
    return [check_symbol(name) for name in dict.fromkeys(named)]


def _operator(body: dict[str, Any]) -> Operator:
    return Operator(check_id("who", take_text(body, "who", "operator")))


def _why(body: dict[str, Any]) -> str:
    why = take_text(body, "why")
    if not why.strip() or len(why) > MAX_WHY or not why.isprintable():
        raise Refused(
            422, "bad_value", f"why {shown(why)}: it must be 1 to {MAX_WHY} printable characters"
        )
    return why
