"""What each key does: pure steps from one state of the live view to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mm.store import MAX_WHY

Sort = Literal["configured", "activity", "net", "profit", "name"]
#: The orders of the symbols, in the order in which `s` goes through them.
SORTS: tuple[Sort, ...] = ("configured", "activity", "net", "profit", "name")
#: Each order in words.
SORT_WORDS: dict[Sort, str] = {
    "configured": "configuration",
    "activity": "activity",
    "net": "|net|",
    "profit": "profit",
    "name": "name",
}
#: The most characters of a filter.
MAX_FILTER = 16
#: Key -> the mode that it asks for, what that does, and the command that does the same.
CONTROLS = {"p": ("halted", "halt"), "r": ("active", "resume")}


@dataclass(frozen=True)
class Typing:
    """What is being typed: a filter, or the reason of a change of mode.

    ``key`` is what began it: ``/``, ``p`` or ``r``. ``symbol`` is what the change is of, empty
    text for all symbols.
    """

    key: str
    text: str = ""
    symbol: str = ""


@dataclass(frozen=True)
class ViewState:
    """What a person has chosen to see.

    ``symbol`` is the chosen symbol, empty text without one; with ``page`` its page is open.
    ``message`` answers the last key, until the next one.
    """

    sort: Sort = SORTS[0]
    filter: str = ""
    symbol: str = ""
    page: bool = False
    help: bool = False
    typing: Typing | None = None
    message: str = ""


@dataclass(frozen=True)
class ModeRequest:
    """A change of mode that an operator has asked for, of one symbol or of all."""

    key: str
    symbol: str
    why: str

    @property
    def mode(self) -> str:
        """The mode that is asked for."""
        return CONTROLS[self.key][0]

    @property
    def verb(self) -> str:
        """The command that does the same."""
        return CONTROLS[self.key][1]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols to name; none for all."""
        return (self.symbol,) if self.symbol else ()


@dataclass(frozen=True)
class Quit:
    """The end of the view."""


Act = ModeRequest | Quit | None


def press(
    state: ViewState, key: str, names: Sequence[str], lines: int, controls: bool
) -> tuple[ViewState, Act]:
    """The state after a key, and what is to be done.

    ``names`` are the symbols in the order of the screen, as the filter leaves them, and ``lines``
    how many have a line. ``controls`` says that modes can be changed from here.
    """
    state = replace(state, message="")
    if state.typing is not None:
        return _type(state, state.typing, key)
    if key == "q":
        return state, Quit()
    if key == "?":
        return replace(state, help=not state.help), None
    if state.help:
        return (replace(state, help=False) if key == "escape" else state), None
    if key in CONTROLS:
        return _ask(state, key, controls), None
    if key == "escape":
        return _back(state), None
    moved = _moved(state.symbol, key, names, 1 if state.page else lines)
    if moved is not None:
        return replace(state, symbol=moved), None
    if state.page:
        return state, None
    if key == "s":
        return replace(state, sort=SORTS[(SORTS.index(state.sort) + 1) % len(SORTS)]), None
    if key == "/":
        return replace(state, typing=Typing("/", state.filter)), None
    if key == "enter" and names:
        name = state.symbol if state.symbol in names else names[0]
        return replace(state, symbol=name, page=True), None
    return state, None


def _moved(symbol: str, key: str, names: Sequence[str], lines: int) -> str | None:
    """The symbol that the key moves to, or None for another key; the first where none is chosen."""
    steps = {"up": -1, "down": 1, "page up": -lines, "page down": lines}
    steps |= {"home": -len(names), "end": len(names)}
    if key not in steps or not names:
        return None
    if symbol not in names:
        return names[-1] if key == "end" else names[0]
    return names[min(max(names.index(symbol) + steps[key], 0), len(names) - 1)]


def _back(state: ViewState) -> ViewState:
    """One step back: from the page, then from the filter, then from the chosen symbol."""
    if state.page:
        return replace(state, page=False)
    if state.filter:
        return replace(state, filter="")
    return replace(state, symbol="")


def _ask(state: ViewState, key: str, controls: bool) -> ViewState:
    """Ask for the reason; where nothing can be changed, name the command instead."""
    symbol = state.symbol if state.page else ""
    if controls:
        return replace(state, typing=Typing(key, symbol=symbol))
    verb = CONTROLS[key][1]
    why = " --why REASON" if key == "p" else ""
    command = f"mm {verb} {symbol or '--all'}{why}"
    return replace(state, message=f"this view only reads; `{command}` does it")


def _type(state: ViewState, typing: Typing, key: str) -> tuple[ViewState, Act]:
    """A key of what is being typed. A filter holds while it is typed."""
    is_filter = typing.key == "/"
    if key == "escape":
        return replace(state, typing=None, filter="" if is_filter else state.filter), None
    if key == "enter":
        if is_filter:
            return replace(state, typing=None), None
        why = typing.text.strip()
        if typing.key == "p" and not why:
            return replace(state, message="type the reason first, for those who ask later"), None
        return replace(state, typing=None), ModeRequest(typing.key, typing.symbol, why)
    if key == "backspace":
        text = typing.text[:-1]
    elif len(key) == 1:
        text = (typing.text + key)[: MAX_FILTER if is_filter else MAX_WHY]
    else:
        return state, None
    return replace(
        state, typing=replace(typing, text=text), filter=text if is_filter else state.filter
    ), None


def matches(name: str, wanted: str) -> bool:
    """Whether a symbol's name contains the text of a filter, in any case."""
    return wanted.casefold() in name.casefold()
