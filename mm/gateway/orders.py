"""Orders over HTTP: one order is answered by its execution report."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from redis.exceptions import RedisError
from starlette.requests import Request

from mm.errors import MMError, shown
from mm.gateway.access import Caller
from mm.gateway.answers import (
    JSON,
    Refused,
    check_names,
    read_object,
    refusal_of,
    take_decimal,
    take_text,
    unavailable,
)
from mm.gateway.desk import IDLE_S, Desk
from mm.gateway.links import SERVER_S, Links
from mm.log_event import log_details
from mm.market import CONFLICT, REASONS, check_id, check_side, check_symbol
from mm.order_lines import name_of
from mm.orders import OrderClient, Ticket, report_facts
from mm.store import OPERATOR, is_client, open_client

#: The most clients whose orders may be on their way at the same time.
MAX_DESKS = 64
FIELDS = ("client_id", "order_id", "symbol", "side", "quantity", "limit_price")
_LOG = logging.getLogger("mm.serve")

MAY_BE = (
    "The order may still be executed: send it again under the same order_id to learn more, which is"
    " safe"
)


def _ticket(body: dict[str, Any], caller: Caller) -> Ticket:
    """The order in a body; its client is that of the token, or the one that an operator names."""
    if caller.role == "client":
        client_id = take_text(body, "client_id", caller.client_id)
        if client_id != caller.client_id:
            raise Refused(
                403,
                "forbidden",
                f"client_id {shown(client_id)}: the token is that of {caller.client_id}",
            )
    else:
        client_id = take_text(body, "client_id")
    words = [take_text(body, name) for name in ("order_id", "symbol", "side")]
    order_id, symbol, side = words
    check_symbol(symbol)
    check_side(side)
    quantity, limit_price = (take_decimal(body, name) for name in ("quantity", "limit_price"))
    return Ticket.parse(
        check_id("client_id", client_id),
        check_id("order_id", order_id),
        symbol,
        side,
        quantity,
        limit_price,
    )


def _log_refusal(found: Refused, ticket: Ticket) -> None:
    """Log as a detail that an order gets no report: a 503 or a 409."""
    if found.status in (409, 503):
        facts = {"order": name_of(ticket.client_id, ticket.order_id), "why": found.facts["message"]}
        log_details(_LOG, "unanswered" if found.status == 503 else "refused", [facts])


class Orders:
    """The desks of a gateway. An order has ``at_most_s`` seconds for its report."""

    def __init__(self, links: Links, at_most_s: float) -> None:
        self._links = links
        self._at_most_s = at_most_s
        self._desks: dict[str, Desk] = {}

    async def post(self, request: Request, caller: Caller) -> JSON:
        """Send an order, or send it again, and answer with its report.

        Refused: 400 and 422 for what is no order, 403 for another client's, 409 for another order
        under a used id, 503 while something is down.
        """
        body = await read_object(request)
        check_names(body, FIELDS)
        ticket = _ticket(body, caller)
        handed = False
        try:
            async with asyncio.timeout(self._at_most_s):
                config = await self._links.config(ticket.symbol)
                order = ticket.order(config)
                handed = True
                answered = await self._desk(order.client_id).submit(order, config)
        except (Refused, MMError, RedisError, OSError) as error:
            is_late = isinstance(error, TimeoutError)
            found = self._late(ticket, handed) if is_late else refusal_of(error)
            if found.status == 503:
                await self._explain(found, ticket.client_id, handed)
            _log_refusal(found, ticket)
            raise found from error
        report = answered.report
        facts = report_facts(order, report, config.symbol(order.symbol))
        facts |= (await self._links.state()).facts()
        if report.status != "rejected":
            return JSON(facts)
        if answered.first is not None:
            facts["first_order"] = answered.first.facts
        if report.reason == CONFLICT:
            words = f"order id {order.order_id} of client {order.client_id} was used before"
            first = f": {answered.first.words}" if answered.first else ""
            raise Refused(409, CONFLICT, words + first, facts=facts)
        raise Refused(422, "rejected", REASONS.get(report.reason, report.reason), facts=facts)

    def _late(self, ticket: Ticket, handed: bool) -> Refused:
        what = "no report" if handed else "it was not sent"
        return unavailable(f"order {ticket.order_id}: {what} within {self._at_most_s:g} s")

    async def _explain(self, found: Refused, client_id: str, handed: bool) -> None:
        """Add to a refusal everything that is down, and whether the order may be executed.

        ``handed`` says whether the desk has had the order.
        """
        desk = self._desks.get(client_id)
        down = [desk.trouble] if desk is not None and desk.trouble else []
        if not down:
            down = [one.words for one in (await self._links.state()).stopped]
        found.facts = {**found.facts, "down": down or found.facts["down"]}
        found.facts.setdefault("may_be_executed", handed)
        if found.facts["may_be_executed"]:
            found.facts["message"] = f"{found.facts['message']}. {MAY_BE}"

    def _desk(self, client_id: str) -> Desk:
        """The client's desk; Refused (503) when too many have orders on their way."""
        desk = self._desks.get(client_id)
        if desk is not None and not desk.ended:
            return desk
        now = time.monotonic()
        for name, one in list(self._desks.items()):
            crowded = len(self._desks) >= MAX_DESKS
            if one.ended or (one.idle and (crowded or now - one.used_at > IDLE_S)):
                self._desks.pop(name).close()
        if len(self._desks) >= MAX_DESKS:
            raise unavailable(
                f"{MAX_DESKS} clients have orders on their way. This one was not sent, and may be"
                " sent again",
                may_be_executed=False,
            )
        system = self._links.system
        user = client_id if is_client(client_id) else OPERATOR
        client = open_client(system.waiting_url, SERVER_S, user, system.keys.prefix)
        desk = Desk(OrderClient(client, system.keys, client_id), self._links.scripts)
        self._desks[client_id] = desk
        return desk

    def close(self) -> None:
        """Close all desks."""
        for one in self._desks.values():
            one.close()
