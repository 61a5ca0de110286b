"""What each key does: the steps of the live view, without a terminal and without a server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mm.store import MAX_WHY
from mm.terminal.keys import SORTS, ModeRequest, Quit, Typing, ViewState, press

NAMES = ["AAA", "BBB", "CCC", "DDD", "EEE"]


def after(state: ViewState, *keys: str, controls: bool = True) -> ViewState:
    """The state after keys that ask for nothing."""
    for key in keys:
        state, act = press(state, key, NAMES, 2, controls)
        assert act is None, key
    return state


@pytest.mark.parametrize(
    "state", [ViewState(), ViewState(page=True, symbol="AAA"), ViewState(help=True)]
)
def test_q_ends_the_view(state: ViewState) -> None:
    """On every page `q` is the end; where something is typed it is a letter."""
    assert press(state, "q", NAMES, 2, True)[1] == Quit()
    typed = after(replace(state, help=False, typing=Typing("p")), "q")
    assert typed.typing == Typing("p", "q")


def test_help_opens_and_closes() -> None:
    """`?` opens the help over any page, and `?` or Esc closes it; other keys do nothing there."""
    page = ViewState(page=True, symbol="BBB")
    opened = after(page, "?")
    assert opened.help and after(opened, "?") == page
    assert after(opened, "escape") == page
    assert after(opened, "s", "down", "p") == opened


def test_s_goes_through_the_orders() -> None:
    """`s` goes through all orders and back to the first."""
    seen, state = [], ViewState()
    for _ in SORTS:
        state = after(state, "s")
        seen.append(state.sort)
    assert seen == ["activity", "net", "profit", "name", "configured"]


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        ("down", "AAA"),
        ("up", "AAA"),
        ("end", "EEE"),
        ("down down", "BBB"),
        ("down up up", "AAA"),
        ("down end down", "EEE"),
        ("end home", "AAA"),
        ("down page_down", "CCC"),
        ("end page_up page_up page_up", "AAA"),
    ],
)
def test_arrows_choose_a_symbol(keys: str, chosen: str) -> None:
    """Arrows, pages and ends move within the symbols; the first key chooses the first."""
    state = after(ViewState(), *(key.replace("_", " ") for key in keys.split()))
    assert state.symbol == chosen


def test_enter_opens_a_page_and_escape_goes_back() -> None:
    """Enter opens the page of the chosen symbol, or of the first; there arrows go to the next."""
    assert after(ViewState(), "enter") == ViewState(symbol="AAA", page=True)
    page = after(ViewState(), "down", "down", "enter")
    assert page == ViewState(symbol="BBB", page=True)
    assert after(page, "down").symbol == "CCC"
    assert after(page, "s", "/") == page
    assert after(page, "escape") == ViewState(symbol="BBB")
    assert after(page, "escape", "escape") == ViewState()
    assert press(ViewState(filter="X"), "enter", [], 2, True)[0] == ViewState(filter="X")


def test_a_filter_is_typed() -> None:
    """A filter holds while it is typed; Enter keeps it, and Esc ends it then and later."""
    typed = after(ViewState(), "/", "b", "x", "backspace")
    assert typed.filter == "b" and typed.typing == Typing("/", "b")
    kept = after(typed, "enter")
    assert kept == ViewState(filter="b")
    assert after(typed, "escape") == after(kept, "escape") == ViewState()
    assert after(kept, "/", "q").filter == "bq"
    assert after(kept, "/", "up", "end") == after(kept, "/")


def test_p_asks_for_a_reason_once() -> None:
    """`p` asks for the reason, without one nothing is done, and Enter does it."""
    asked = after(ViewState(), "p")
    assert asked.typing == Typing("p")
    empty = after(asked, " ", "enter")
    assert empty.typing is not None and "reason" in empty.message
    typed = after(empty, *"bad news")
    assert typed.message == ""
    done, act = press(typed, "enter", NAMES, 2, True)
    assert act == ModeRequest("p", "", "bad news") and done == ViewState()
    assert (act.mode, act.verb, act.symbols) == ("halted", "halt", ())
    assert after(typed, "escape") == ViewState()


def test_r_resumes_without_a_reason() -> None:
    """`r` asks too, and a reason is not needed."""
    asked = after(ViewState(), "r")
    act = press(asked, "enter", NAMES, 2, True)[1]
    assert act == ModeRequest("r", "", "")
    assert (act.mode, act.verb) == ("active", "resume")


def test_on_a_page_only_its_symbol_is_halted() -> None:
    """On a symbol's page `p` acts on it, and on the market's page on all, whatever is chosen."""
    page = ViewState(symbol="CCC", page=True)
    act = press(after(page, "p", "x"), "enter", NAMES, 2, True)[1]
    assert act == ModeRequest("p", "CCC", "x") and act.symbols == ("CCC",)
    assert after(replace(page, page=False), "p").typing == Typing("p")


def test_a_reason_is_bounded() -> None:
    """No more characters are taken than a reason may have."""
    state = after(ViewState(), "p", *"x" * (MAX_WHY + 9))
    assert state.typing is not None and len(state.typing.text) == MAX_WHY


@pytest.mark.parametrize(
    ("state", "key", "command"),
    [
        (ViewState(symbol="AAA"), "p", "mm halt --all --why REASON"),
        (ViewState(), "r", "mm resume --all"),
        (ViewState(symbol="AAA", page=True), "p", "mm halt AAA --why REASON"),
        (ViewState(symbol="AAA", page=True), "r", "mm resume AAA"),
    ],
)
def test_a_view_that_only_reads_names_the_command(state: ViewState, key: str, command: str) -> None:
    """Without controls the keys name the command that does it, until the next key."""
    said = after(state, key, controls=False)
    assert said == replace(state, message=f"this view only reads; `{command}` does it")
    assert after(said, "left", controls=False) == state
