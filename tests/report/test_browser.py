"""The page in a browser without a network: every plot is drawn, and nothing else happens."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mm.report import page
from mm.store import execute
from tests.kit import Fake, World, small_config
from tests.kit.past import trade
from tests.report.pages import past_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

EVIL = "</script><script>window.pwned=1</script><img src=x onerror='window.pwned=1'>"


@pytest.fixture
def report(fake: Fake, tmp_path: Path) -> Path:
    """The report of a small market in which somebody has tried to put in a script."""
    world = World(fake, small_config(3, limit=100))
    world.beat("maker-1", run="a", first=True)
    for number in range(12):
        trade(world, "AAB"[number % 3] * 3, ("sell", "buy")[number % 2], number % 4 + 1)
    world.beat("maker-1", run="b", first=True)
    world.control("reducing", "AAA", why="<img src=x onerror='window.pwned=1'>")
    fields = ("source", EVIL, "entry_id", "1-1", "reason", EVIL, "raw", EVIL)
    execute(world.client, "XADD", world.keys.named("deadletter"), "*", *fields)
    path = tmp_path / "report.html"
    path.write_text(page(past_of(world), "1.2.3", EVIL))
    return path


class Opened:
    """The page, opened by a browser of this width, and what the browser said and asked for."""

    def __init__(self, chromium: Browser, path: Path, width: int, scheme: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        phone = width < 500
        self.context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            offline=True,
            is_mobile=phone,
            has_touch=phone,
        )
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_function("window.Plotly")
        plots = self.page.locator(".plot")
        for number in range(plots.count()):
            # Not `scroll_into_view_if_needed`: it waits for frames, of which a busy machine
            # draws none while the plots are made.
            plots.nth(number).evaluate("plot => plot.scrollIntoView({block: 'center'})")
            self.page.wait_for_function(
                "number => document.querySelectorAll('.plot')[number]"
                ".querySelector('.main-svg .trace, .main-svg .bars')",
                arg=number,
            )

    def color_of(self, place: str) -> str:
        """The colour that is computed for the first element that the selector finds."""
        script = f"getComputedStyle(document.querySelector({place!r})).color"
        return str(self.page.evaluate(script))


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_plot_is_drawn(chromium: Browser, report: Path, width: int, scheme: str) -> None:
    """All plots are there at both widths, in both schemes, without a word of the browser."""
    opened = Opened(chromium, report, width, scheme)
    assert opened.page.locator(".plot").count() == 6
    assert opened.page.locator(".plot.js-plotly-plot").count() == 6
    assert opened.page.locator(".plot.waiting").count() == 0
    assert opened.said == []
    assert opened.asked == [report.as_uri()]
    assert opened.page.evaluate("window.pwned") is None
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    opened.context.close()


def test_schemes_differ(chromium: Browser, report: Path) -> None:
    """Text and plots follow the scheme, also when it changes while the page is open."""
    opened = Opened(chromium, report, 1280, "light")
    places = ("body", ".plot .xtick text")
    light = [opened.color_of(places[0]), fill_of(opened, places[1])]
    opened.page.emulate_media(color_scheme="dark")
    opened.page.wait_for_function(
        "([place, fill]) => document.querySelector(place).style.fill != fill",
        arg=[places[1], light[1]],
    )
    dark = [opened.color_of(places[0]), fill_of(opened, places[1])]
    assert all(one != other for one, other in zip(light, dark, strict=True))
    assert opened.said == []
    opened.context.close()


def fill_of(opened: Opened, place: str) -> str:
    """What the first such element of a plot is filled with."""
    return str(opened.page.evaluate(f"document.querySelector({place!r}).style.fill"))


def test_another_symbol(chromium: Browser, report: Path) -> None:
    """The plot of prices shows the symbol that is chosen, and says so to those who do not see."""
    opened = Opened(chromium, report, 1280, "light")
    plot = opened.page.locator("[data-figure=symbol]")
    first = plot.get_attribute("aria-label") or ""
    assert first.startswith("Plot of AAA")
    marks = plot.locator(".points path").count()
    opened.page.select_option("#pick", "BBB")
    opened.page.wait_for_function(
        "marks => { const plot = document.querySelector('[data-figure=symbol]');"
        " return plot.getAttribute('aria-label').startsWith('Plot of BBB')"
        " && ![0, marks].includes(plot.querySelectorAll('.points path').length) }",
        arg=marks,
    )
    assert opened.said == []
    opened.context.close()


def test_no_button_sends_anything(chromium: Browser, report: Path) -> None:
    """The buttons on a plot zoom and save a picture; the library's one to share is left out."""
    opened = Opened(chromium, report, 1280, "light")
    opened.page.locator(".plot").first.hover()
    titles = opened.page.eval_on_selector_all(
        ".modebar-btn", "all => [...new Set(all.map(one => one.dataset.title.toLowerCase()))]"
    )
    assert set(titles) == {"zoom", "pan", "reset axes", "download plot as a png"}
    server = "document.querySelector('.plot')._context.plotlyServerURL"
    assert opened.page.evaluate(server) == ""
    opened.context.close()


def test_readers_of_the_page(chromium: Browser, report: Path) -> None:
    """Landmarks, one main heading, headings without a gap, names for all that can be reached."""
    opened = Opened(chromium, report, 1280, "light")
    page_ = opened.page
    for landmark in ("header", "nav", "main", "footer"):
        assert page_.locator(landmark).count() == 1, landmark
    assert page_.locator("h1").count() == 1
    levels = page_.eval_on_selector_all("h1, h2, h3", "all => all.map(one => +one.tagName[1])")
    assert all(later - one <= 1 for one, later in pairwise(levels))
    nameless = page_.eval_on_selector_all(
        "[tabindex], [role=img], section",
        "all => all.filter(one => !one.ariaLabel && !one.getAttribute('aria-labelledby')).length",
    )
    assert nameless == 0
    assert page_.eval_on_selector_all("select", "all => all.every(one => one.labels.length)")
    links = page_.eval_on_selector_all("nav a", "all => all.map(one => one.getAttribute('href'))")
    assert links and all(page_.locator(link).count() == 1 for link in links)
    opened.context.close()


def test_without_scripts(chromium: Browser, report: Path) -> None:
    """Where no script may run the page says what is missing, and the tables are there."""
    context = chromium.new_context(java_script_enabled=False, offline=True)
    opened = context.new_page()
    opened.goto(report.as_uri())
    assert "Plots need JavaScript" in opened.locator("body").inner_text()
    assert opened.locator("#reconciliation td").count() > 20
    context.close()
