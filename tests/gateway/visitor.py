"""Somebody who looks at the page in a browser, and what is put before them."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from tests.gateway.served import CLIENT, Served


class Visitor:
    """A page in the browser. ``faults`` are what it said to its console."""

    def __init__(self, page: Page, served: Served) -> None:
        self.page, self.served = page, served
        self.faults: list[str] = []
        self.hosts: set[str] = set()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on(
            "console", lambda said: self.faults.append(said.text) if said.type == "error" else None
        )
        page.on(
            "request",
            lambda request: self.hosts.add(re.sub(r"^(\w+://[^/]*).*", r"\1", request.url)),
        )

    def come(self, path: str = "/") -> None:
        """Open a page, and enter the token for reading with the keyboard."""
        self.page.goto(self.served.url + path)
        expect(self.page.get_by_label("Token", exact=True)).to_be_focused()
        self.page.keyboard.type(self.served.token("viewer"))
        self.page.keyboard.press("Enter")

    def enter(self, path: str = "/") -> None:
        """The same, until the page is live."""
        self.come(path)
        expect(self.page.locator("#link")).to_have_text("live")

    def unlock(self) -> None:
        """Enter the operator's token."""
        self.page.get_by_label("Operator's token").fill(self.served.token("operator"))
        self.page.get_by_role("button", name="Unlock").click()
        expect(self.page.get_by_label("Reason")).to_be_focused()


def trade(served: Served, name: str) -> None:
    """One fill."""
    served.market.quoted()
    with served.as_(f"client-{CLIENT}") as client:
        assert client.post("/orders", json=served.order(name)).status_code == 200


#: What all frames have.
COMMON: dict[str, object] = {
    "now_ms": 1_000_000, "server": "<b>x</b>", "durability": "always", "warning": "", "trouble": [],
    "orders": 1, "orders_per_s": 1, "fills": 1, "quotes_active": 1, "symbols": 1, "lag_ms": 0,
}  # fmt: skip
#: A frame of the market's page.
MARKET = COMMON | {
    "profit": [], "rows": [], "newest_fills": [], "processes": [],
    "exposure": {
        "exposure_mode": "lots", "currency": None, "limit": "100", "long": "90", "short": "80",
        "limit_units": 100, "long_units": 90, "short_units": 80,
    },
    "waiting": [
        {"budget": "long", "count": 6, "first": ["AAA", "BBB", "CCC", "DDD"]},
        {"budget": "short", "count": 0, "first": []},
    ],
}  # fmt: skip
#: A frame of the page of a symbol.
SYMBOL = COMMON | {
    "symbol": "AAPL",
    "quote": {
        "quote_id": "AAPL-9", "active": True, "bid": "64250.00", "bid_quantity": "0.010",
        "ask": "64260.50", "ask_quantity": "0.010", "outcome": "reduced", "mode": "active",
        "halted": None, "frozen": None, "retired": False,
    },
    "position": {
        "net_quantity": "0.007", "limit": "0.100", "average_cost": None, "profit": "-1.00",
        "currency": "USD", "mark": "64255.25", "mark_source": "quote", "spread_earned": "1.00",
        "inventory_profit": "-2.00",
    },
    "waiting": [
        {"budget": "long", "place": 2, "count": 3}, {"budget": "short", "place": None, "count": 0},
    ],
    "points": [[900_000, "64244.00", "64251.00"], [950_000, "64258.50", "64270.00"]],
    "newest_fills": [], "story": [], "unread": "",
}  # fmt: skip


def framed(visitor: Visitor, *frames: dict[str, object], path: str = "/") -> None:
    """Come to a page that gets these frames, one after the other."""
    body = "".join(f"event: frame\ndata: {json.dumps(one)}\n\n" for one in frames)
    headers = {"content-type": "text/event-stream"}
    visitor.page.route(
        re.compile("/api/live"), lambda route: route.fulfill(body=body, headers=headers)
    )
    visitor.come(path)


def trouble(words: str, cause: str = "c") -> dict[str, object]:
    """What a frame says of something that stops trading."""
    return {"cause": cause, "words": words, "expected": False}


def row(name: str, **changes: object) -> dict[str, object]:
    """A row of the market's table."""
    made = {
        "symbol": name, "active": True, "bid": "100.00", "bid_quantity": "5", "ask": "100.10",
        "ask_quantity": "5", "outcome": "granted", "mode": "active", "halted": None,
        "frozen": None, "retired": False, "net_quantity": "0", "average_cost": None,
        "profit": "0.00", "mark": "100.05",
    }  # fmt: skip
    return made | changes
