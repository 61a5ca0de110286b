"""The page in a real browser: entered, followed, controlled, lost and found again.

The browser is Debian's Chromium. Where it is missing the tests are skipped; in CI they fail.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from mm.gateway import app
from tests.gateway.served import CLIENT, Market, Served, facts_of, serving
from tests.gateway.visitor import MARKET, SYMBOL, Visitor, framed, row, trade, trouble

STATIC = Path(app.__file__).parent / "static"

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.xdist_group("gateway")]


def test_the_market_is_shown_and_moves(visitor: Visitor) -> None:
    """After the token the market is there, and a fill appears without loading anything anew."""
    visitor.enter()
    table = visitor.page.get_by_role("region", name="Symbols")
    expect(table.get_by_role("rowheader", name="AAPL")).to_be_visible()
    trade(visitor.served, "page-1")
    fills = visitor.page.get_by_role("region", name="Newest fills")
    expect(fills.get_by_role("row").nth(1)).to_contain_text(CLIENT)
    assert visitor.hosts == {visitor.served.url}
    assert visitor.faults == []


def test_a_wrong_token_is_said(visitor: Visitor) -> None:
    """A wrong token shows nothing of the market, says so, and can be corrected."""
    visitor.page.goto(visitor.served.url)
    visitor.page.get_by_label("Token", exact=True).fill("wrong")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("alert")).to_have_text("the token is not known")
    expect(visitor.page.get_by_role("region", name="Symbols")).to_have_count(0)
    visitor.page.get_by_label("Token", exact=True).fill(visitor.served.token("viewer"))
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("#link")).to_have_text("live")


def test_a_symbol_has_its_page(visitor: Visitor) -> None:
    """Its name leads to its price, its fills and its story; a token is asked for once."""
    trade(visitor.served, "page-2")
    visitor.enter()
    visitor.page.get_by_role("link", name="AAPL").click()
    expect(visitor.page).to_have_url(re.compile("/symbols/AAPL$"))
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("AAPL")
    expect(visitor.page.get_by_role("img")).to_be_visible()
    expect(visitor.page.locator(".story")).to_contain_text(f"order {CLIENT}/")
    # From cause to effect: an arrow at the begin of a line points from the line above it.
    expect(visitor.page.locator(".story li").last).to_contain_text("now: position")
    lines = visitor.page.locator(".story li span").all_inner_texts()
    (fill,) = (number for number, line in enumerate(lines) if f"order {CLIENT}/page-2" in line)
    assert lines[fill + 1].startswith("-> position")
    assert lines[fill + 2].startswith("-> AAPL-")
    assert visitor.faults == []


def test_numbers_of_a_symbol(visitor: Visitor) -> None:
    """Its numbers are in groups with its decimals, and its limit is in the unit of its position."""
    visitor.enter("/symbols/BTCUSD")
    price = r"\d{2},\d{3}\.\d0"
    tile = visitor.page.locator(".tile").filter(has_text="position")
    expect(tile).to_contain_text("limit 0.100 long or short")
    expect(visitor.page.locator(".story")).to_contain_text(re.compile(f"@ {price} \\| {price} @"))
    expect(visitor.page.locator(".ends")).to_contain_text(re.compile(f"{price} to {price}"))
    expect(visitor.page.locator(".legend")).to_have_text(re.compile(f"ask {price}bid {price}"))


def test_the_lines_of_a_chart_have_names(visitor: Visitor) -> None:
    """Which line is the bid and which the ask is said in words, and shown beside their colors."""
    framed(visitor, SYMBOL, path="/symbols/AAPL")
    picture = visitor.page.get_by_role("img")
    words = "Bid and ask from 00:15:00Z to 00:16:40Z, 64,244.00 to 64,270.00. "
    words += "The ask is the upper line, solid: 64,270.00 now. "
    words += "The bid is the lower one, dashed: 64,258.50 now."
    expect(picture).to_have_accessible_name(words)
    dashes = "line => getComputedStyle(line).strokeDasharray"
    lines = {side: picture.locator(f".line.{side}").evaluate(dashes) for side in ("bid", "ask")}
    assert lines["ask"] == "none" != lines["bid"]
    key = "span => getComputedStyle(span, '::before').borderTopStyle"
    keys = {side: visitor.page.locator(f".key.{side}").evaluate(key) for side in ("bid", "ask")}
    assert keys == {"ask": "solid", "bid": "dashed"}


def test_who_waits_is_shown(visitor: Visitor) -> None:
    """The market says who waits for exposure and what became of proposals; a symbol its place."""
    framed(visitor, MARKET | {"rows": [row("AAA", outcome="reduced")]})
    waiting = visitor.page.locator(".waiting span")
    first = "Waiting for long exposure: AAA, BBB, CCC, DDD and 2 more"
    expect(waiting).to_have_text([first, "Waiting for short exposure: none"])
    expect(visitor.page.get_by_role("cell", name="reduced")).to_be_visible()


def test_the_place_of_a_symbol_that_waits(visitor: Visitor) -> None:
    """A symbol's page says its place, and what became of its proposal."""
    framed(visitor, SYMBOL, path="/symbols/AAPL")
    waiting = visitor.page.locator(".waiting span")
    expect(waiting).to_have_text(
        ["Waiting for long exposure: place 2 of 3", "Waiting for short exposure: no"]
    )
    expect(visitor.page.locator(".tile").last).to_contain_text("AAPL-9, reduced")


def test_modes_are_shown(visitor: Visitor) -> None:
    """Each symbol that does not trade as it is configured has a flag that says why."""
    rows = {
        "reducing": row("AAA", mode="reducing"),
        "halted": row("BBB", mode="halted", active=False),
        "halted: integrity": row("CCC", halted="lost fill", mode="halted", active=False),
        "frozen": row("DDD", frozen="a loss", active=False),
        "omitted": row("EEE", outcome="omitted", active=False),
        "retired": row("FFF", retired=True, active=False),
        "no quote": row("GGG", outcome=None, active=False),
    }
    framed(visitor, MARKET | {"rows": list(rows.values())})
    expect(visitor.page.locator("th .flag")).to_have_text(list(rows))


def test_old_prices_are_said_to_be_old(visitor: Visitor) -> None:
    """When a symbol's past cannot be read while its state can, the page says so."""
    framed(visitor, SYMBOL | {"unread": "the server hangs"}, path="/symbols/AAPL")
    troubles = visitor.page.locator("#troubles")
    expect(troubles).to_have_text("prices and story are old: the server hangs")


def test_more_troubles_than_are_shown(visitor: Visitor) -> None:
    """Of very many troubles the first are shown, and how many more there are."""
    found = [trouble(f"trouble {number}", f"c{number}") for number in range(15)]
    framed(visitor, MARKET | {"trouble": found})
    expect(visitor.page.locator("#troubles p")).to_have_count(13)
    expect(visitor.page.locator("#troubles p").last).to_have_text("3 more are not shown")


def names_in(facts: object) -> set[str]:
    """All names in nested facts."""
    if isinstance(facts, list):
        return set().union(*map(names_in, facts))
    if isinstance(facts, dict):
        return set(facts).union(*map(names_in, facts.values()))
    return set()


@pytest.mark.parametrize("path", ["/api/live", "/api/live?symbol=AAPL"])
def test_nothing_is_sent_for_nobody(served: Served, path: str) -> None:
    """The page's code reads every fact of its frames."""
    trade(served, f"sent-{len(path)}")
    code = "".join((STATIC / name).read_text() for name in ("page.js", "parts.js"))
    with served.events("viewer", path) as events:
        frame = facts_of(next(events))
    unread = {name for name in names_in(frame) if not re.search(rf"\.{name}\b", code)}
    assert frame["newest_fills"] and unread == set()


@pytest.mark.parametrize("name", ["NOPE", "a%20b"])
def test_a_symbol_that_does_not_exist(visitor: Visitor, name: str) -> None:
    """Its page says so where the facts would stand, shows nothing else, and leads to the market."""
    visitor.come(f"/symbols/{name}")
    main = visitor.page.get_by_role("main")
    expect(main.get_by_role("alert")).to_contain_text("this system has no such symbol, but AAPL")
    expect(visitor.page.locator("#link")).to_have_text("no such symbol")
    expect(visitor.page.get_by_role("table")).to_have_count(0)
    expect(main.get_by_label("Operator's token")).to_be_hidden()
    main.get_by_role("link", name="All symbols").click()
    expect(visitor.page.get_by_role("rowheader", name="AAPL")).to_be_visible()


def test_a_symbol_that_is_gone(visitor: Visitor) -> None:
    """The page of a symbol that the system has no more says so, and leads to the market."""
    framed(visitor, MARKET | {"symbol": "AAPL", "missing": True}, path="/symbols/AAPL")
    main = visitor.page.get_by_role("main")
    expect(main.get_by_role("alert")).to_contain_text("no symbol AAPL any more")
    expect(main.get_by_role("link", name="All symbols")).to_be_visible()


def test_a_malformed_address(visitor: Visitor) -> None:
    """An address that names nothing is said to be one, without a token, with the way out."""
    visitor.page.goto(f"{visitor.served.url}/symbols/%E0%A4%A")
    main = visitor.page.get_by_role("main")
    expect(main.get_by_role("alert")).to_contain_text("The address is malformed")
    expect(main.get_by_role("link", name="All symbols")).to_have_attribute("href", "/")
    expect(visitor.page.locator("#link")).to_have_text("no such symbol")
    assert visitor.faults == []


def test_halt_and_resume(visitor: Visitor) -> None:
    """The buttons are there for an operator alone, and need a reason."""
    visitor.enter("/symbols/MSFT")
    expect(visitor.page.get_by_role("button", name="Halt MSFT")).to_be_hidden()
    visitor.unlock()
    visitor.page.get_by_role("button", name="Halt MSFT").click()
    assert visitor.page.get_by_label("Reason").evaluate("field => field.validity.valueMissing")
    visitor.page.get_by_label("Reason").fill("news on the wire")
    visitor.page.get_by_role("button", name="Halt MSFT").click()
    said = visitor.page.locator("#control-said")
    expect(said).to_contain_text("MSFT: active -> halted")
    expect(visitor.page.locator("#troubles")).to_contain_text("news on the wire")
    visitor.page.get_by_label("Reason").fill("it is over")
    visitor.page.get_by_role("button", name="Resume MSFT").click()
    expect(said).to_contain_text("MSFT: halted -> active")
    expect(visitor.page.locator("#troubles")).not_to_contain_text("news on the wire")
    assert visitor.faults == []


def test_the_reason_and_the_buttons_by_keyboard(visitor: Visitor) -> None:
    """Enter in the reason presses no button: it leads to the first. A press keeps the focus."""
    visitor.enter("/symbols/MSFT")
    visitor.unlock()
    keyboard, said = visitor.page.keyboard, visitor.page.locator("#control-said")
    keyboard.type("by hand")
    keyboard.press("Enter")
    halt = visitor.page.get_by_role("button", name="Halt MSFT")
    expect(halt).to_be_focused()
    expect(said).to_have_text("Unlocked.")
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(said).to_contain_text("MSFT: active already")
    expect(visitor.page.get_by_role("button", name="Resume MSFT")).to_be_focused()
    # What was done does not stick to the buttons.
    below, above = said.bounding_box(), halt.bounding_box()
    assert below is not None and above is not None
    assert below["y"] - above["y"] - above["height"] >= 10


def test_a_viewers_token_unlocks_nothing(visitor: Visitor) -> None:
    """The token for reading is not taken for the operator's."""
    visitor.enter()
    visitor.page.get_by_label("Operator's token").fill(visitor.served.token("viewer"))
    visitor.page.get_by_role("button", name="Unlock").click()
    expect(visitor.page.locator("#control-said")).to_contain_text("token for reading")
    expect(visitor.page.get_by_label("Reason")).to_be_hidden()


def test_a_halt_without_an_answer_is_not_denied(visitor: Visitor) -> None:
    """Refused is not done; without an answer the page says that it may have been done."""
    page = visitor.page
    visitor.enter("/symbols/MSFT")
    visitor.unlock()
    page.get_by_label("Reason").fill("news")
    said, button = page.locator("#control-said"), page.get_by_role("button", name="Halt MSFT")

    def answered(status: int, message: str) -> None:
        page.unroute_all()
        facts = {"error": "x", "message": message}
        page.route("**/halt", lambda route: route.fulfill(status=status, json=facts))
        button.click()

    answered(422, "a rule")
    expect(said).to_have_text("Not done: a rule")
    answered(503, "no answer: it may have been done (why)")
    expect(said).to_have_text("no answer: it may have been done (why)")
    answered(500, "a fault")
    expect(said).to_have_text("No answer: it may have been done: a fault")
    page.unroute_all()
    page.route("**/halt", lambda route: route.abort())
    button.click()
    expect(said).to_contain_text("it may have been done")
    expect(said).not_to_contain_text("a fault")


def test_a_lost_gateway_is_shown_and_found_again(chromium: Browser, quoting: Market) -> None:
    """When the gateway is gone the page says so and since when; a new one is found again."""
    page = chromium.new_context().new_page()
    with serving(quoting) as served:
        Visitor(page, served).enter()
        port = served.port
    expect(page.locator("#link")).to_contain_text("connection lost, trying again, as of")
    expect(page.locator("#body")).to_have_class("stale")
    with serving(quoting, port=port):
        expect(page.locator("#link")).to_have_text("live")
        expect(page.locator("#body")).not_to_have_class("stale")
    page.context.close()


def test_a_server_that_hangs_is_shown(visitor: Visitor) -> None:
    """A frame that does not come is not shown as if all were well."""
    visitor.enter()
    with visitor.served.market.frozen_server():
        expect(visitor.page.locator("#link")).to_contain_text("as of")
        expect(visitor.page.locator("#body")).to_have_class("stale")
    expect(visitor.page.locator("#link")).to_have_text("live")


def test_sign_out_ends_the_session(visitor: Visitor) -> None:
    """After signing out the page asks for a token again, loaded anew too."""
    visitor.enter()
    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.page.get_by_label("Token", exact=True)).to_be_focused()
    visitor.page.reload()
    expect(visitor.page.get_by_label("Token", exact=True)).to_be_visible()
    expect(visitor.page.get_by_role("table")).to_have_count(0)


def test_no_token_stays_in_the_page(visitor: Visitor) -> None:
    """Neither addresses nor storage nor fields have a token after it was entered."""
    visitor.enter()
    visitor.unlock()
    page = visitor.page
    stored = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    fields = page.evaluate("[...document.querySelectorAll('input')].map(e => e.value).join()")
    for name in ("viewer", "operator"):
        token = visitor.served.token(name)
        assert token not in page.url + stored + fields + page.content()


def test_what_is_stored_is_only_text(visitor: Visitor) -> None:
    """A text of a frame that looks like a tag is shown as text."""
    framed(visitor, MARKET | {"trouble": [trouble("<img src=x>")]})
    expect(visitor.page.locator("#troubles")).to_contain_text("<img src=x>")
    assert visitor.page.locator("#troubles img").count() == 0


def test_a_trouble_is_read_out_once(visitor: Visitor) -> None:
    """While its numbers change on the screen, a trouble is read out only as it began."""
    said = ("silent for 1 s", "silent for 2 s")
    framed(visitor, *(MARKET | {"trouble": [trouble(words)]} for words in said))
    expect(visitor.page.locator("#troubles")).to_contain_text("silent for 2 s")
    expect(visitor.page.locator("#said")).to_have_text("silent for 1 s")
