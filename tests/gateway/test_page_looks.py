"""The page for every eye and hand: phone, light and dark, keyboard, screen reader."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.gateway.served import Served
from tests.gateway.visitor import MARKET, Visitor, framed, row, trade, trouble
from tests.kit import wait_for

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.xdist_group("gateway")]

PHONES = (320, 390)
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def cut_off(page: Page) -> list[str]:
    """What of the page is wider than its place, or beside the screen."""
    wide = """[...document.querySelectorAll('html, .sheet, .tile, th, td')]
      .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline')
      .map(e => `${e.tagName} ${e.className} ${e.textContent.slice(0, 30)}`)"""
    found: list[str] = page.evaluate(wide)
    return found


@pytest.mark.parametrize("width", PHONES)
@pytest.mark.parametrize("path", ["/", "/symbols/BTCUSD"])
def test_on_a_phone(chromium: Browser, served: Served, path: str, width: int) -> None:
    """Nothing is cut off: neither page nor tables scroll sideways, buttons are large."""
    trade(served, f"phone-{width}-{len(path)}")
    size: ViewportSize = {"width": width, "height": 844}
    with chromium.new_context(viewport=size, has_touch=True) as context:
        visitor = Visitor(context.new_page(), served)
        visitor.enter(path)
        expect(visitor.page.locator(".tile").first).to_be_visible()
        assert cut_off(visitor.page) == []
        small = "[...document.querySelectorAll('button')].filter(e => e.offsetParent)"
        small += ".filter(e => e.offsetHeight < 34).length"
        assert visitor.page.evaluate(small) == 0
        assert visitor.faults == []


@pytest.mark.parametrize("width", PHONES)
def test_large_numbers_on_a_phone(chromium: Browser, served: Served, width: int) -> None:
    """Profits of the symbols and prices of the fills are there, on one line each."""
    large = {"net_quantity": "-1234567", "profit": "-123456.905", "bid": "123456.50"}
    fill = {
        "ts_ms": 1, "fill_id": "f", "symbol": "LONGNAME.X", "side": "sell",
        "quantity": "1234567", "price": "123456.50", "client_id": "c",
    }  # fmt: skip
    size: ViewportSize = {"width": width, "height": 844}
    with chromium.new_context(viewport=size, has_touch=True) as context:
        visitor = Visitor(context.new_page(), served)
        framed(visitor, MARKET | {"rows": [row("LONGNAME.X", **large)], "newest_fills": [fill]})
        lines = """e => { const words = document.createRange(); words.selectNodeContents(e);
          return words.getClientRects().length; }"""
        profit = visitor.page.get_by_role("cell", name="-123,456.905")
        for one in (profit, visitor.page.get_by_role("cell", name="123,456.50").last):
            expect(one).to_be_visible()
            assert one.evaluate("e => e.getBoundingClientRect().right") <= width
            assert one.evaluate(lines) == 1
        assert cut_off(visitor.page) == []


def poor_texts(page: Page) -> list[str]:
    """The texts that have too little contrast, light or dark."""
    script = (Path(__file__).parent / "contrast.js").read_text()
    found: list[str] = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {one}" for one in page.evaluate(script)]
    return found


@pytest.mark.parametrize("path", ["/", "/symbols/AAPL"])
def test_texts_can_be_read(visitor: Visitor, path: str) -> None:
    """Each text has a contrast of 4.5 to 1 or more to its ground, light and dark, old too."""
    page = visitor.page
    page.goto(visitor.served.url + path)
    expect(page.get_by_label("Token", exact=True)).to_be_visible()
    assert poor_texts(page) == []
    visitor.enter(path)
    visitor.unlock()
    expect(page.locator(".tile").first).to_be_visible()
    assert poor_texts(page) == []
    with visitor.served.market.frozen_server():
        expect(page.locator("#body")).to_have_class("stale")
        expect(page.locator(".alert").last).to_be_visible()
        assert poor_texts(page) == []
    expect(page.locator("#link")).to_have_text("live")


def test_troubles_can_be_read(visitor: Visitor) -> None:
    """The same of every kind of flag and trouble, and of what stands in the place of a symbol."""
    rows = [row("AAA", mode="halted"), row("BBB", mode="reducing"), row("CCC", profit="-1.00")]
    process = {"name": "maker-1", "state": "silent", "restarts": 0, "count": 1}
    expected = trouble("expected", "d") | {"expected": True}
    frame = MARKET | {"trouble": [trouble("bad"), expected], "rows": rows, "processes": [process]}
    framed(visitor, frame)
    for kind in (".alert", ".note", ".flag", ".flag.bad", ".loss"):
        expect(visitor.page.locator(kind).last).to_be_visible()
    assert poor_texts(visitor.page) == []
    visitor.page.goto(visitor.served.url + "/symbols/NOPE")
    expect(visitor.page.locator("#lost-words")).to_be_visible()
    assert poor_texts(visitor.page) == []


def test_what_is_old_looks_old(visitor: Visitor) -> None:
    """What is old has another color and other edges than what is live."""
    visitor.enter()
    look = "e => [getComputedStyle(e).color, getComputedStyle(e).borderTopStyle].join()"
    tile = visitor.page.locator(".tile").first
    live = tile.evaluate(look)
    visitor.page.locator("#body").evaluate("e => e.classList.add('stale')")
    old = tile.evaluate(look)
    assert all(one != other for one, other in zip(live.split(","), old.split(","), strict=True))


def test_for_a_screen_reader(visitor: Visitor) -> None:
    """There are landmarks, table heads with their scope, names of fields, and one main heading."""
    visitor.enter()
    page = visitor.page
    expect(page.get_by_role("row").nth(1)).to_be_visible()
    for role in ("banner", "navigation", "main", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    headings = page.get_by_role("heading", level=2)
    expect(headings).to_have_text(["Symbols", "Newest fills", "Processes", "Control"])
    assert page.locator("th:not([scope])").count() == 0
    unnamed = "[...document.querySelectorAll('input')].filter(e => !e.labels.length).length"
    assert page.evaluate(unnamed) == 0
    assert page.locator("html").get_attribute("lang") == "en"


def test_what_is_read_out_is_calm(visitor: Visitor) -> None:
    """While frames come, no region that is read out changes, unless something really has."""
    visitor.enter()
    visitor.page.evaluate(
        """() => {
          window.changes = 0;
          const watch = new MutationObserver((list) => { window.changes += list.length; });
          for (const one of document.querySelectorAll('[aria-live], [role=status], [role=alert]'))
            watch.observe(one, { childList: true, characterData: true, subtree: true });
          window.frames_ = 0;
          new MutationObserver(() => { window.frames_ += 1; }).observe(
            document.querySelector('.tiles'), { childList: true });
        }"""
    )
    wait_for("three frames", lambda: visitor.page.evaluate("window.frames_ >= 3"))
    assert visitor.page.evaluate("window.changes") == 0


def test_nothing_moves_by_itself(visitor: Visitor) -> None:
    """No transition and no animation: those who asked for less motion have nothing to fear."""
    visitor.enter()
    moving = """[...document.querySelectorAll('*')].map(e => getComputedStyle(e)).filter(
      style => style.transitionDuration !== '0s' || style.animationName !== 'none').length"""
    assert visitor.page.evaluate(moving) == 0


def test_by_keyboard_alone(visitor: Visitor) -> None:
    """Tab reaches the skip link first, every control after it, and each shows that it is there."""
    visitor.enter()
    page = visitor.page
    expect(page.get_by_role("row").nth(1)).to_be_visible()
    page.reload()
    expect(page.get_by_role("row").nth(1)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        words = (
            "(e => [e.id || e.textContent.trim().slice(0, 12), getComputedStyle(e).outlineStyle])"
        )
        name, outline = page.evaluate(f"{words}(document.activeElement)")
        if name in reached or page.evaluate("document.activeElement === document.body"):
            break
        assert outline == "solid", (name, outline)
        reached.append(name)
    assert {"home", "leave", "AAPL", "operator-token", "Unlock"} <= set(reached), reached
