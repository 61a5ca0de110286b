"""The last lines of the live view: which keys do what, what is being typed, and the answers."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from mm.facts import symbol_count
from mm.store import Snapshot
from mm.terminal.draw import cut, parts_line, plain, rule, wrapped
from mm.terminal.keys import Typing, ViewState

#: The most lines of an answer.
MAX_ANSWER = 4
#: From this width on the help names all keys at the left of what they do.
WIDE = 100
_MOVES = (
    (("up, down, page up, page down, home, end", "choose a symbol; on a page the next one"),),
    (("arrows", "choose a symbol, also page up, page down, home, end; on a page the next one"),),
)
_KEYS = (
    ("Enter", "the page of the chosen symbol: quote, position, turn to wait, prices, story"),
    ("Esc", "back: from what is being typed, from a page, from a filter"),
    ("s", "the next order: configuration, activity, |net|, profit, name"),
    ("/", "only symbols whose name contains what you type"),
)
_CHANGES = (
    ("p", "halt all symbols, or on the page of one that one; it asks for the reason"),
    ("r", "resume them"),
)
_NO_CHANGES = (("p, r", "name the command that does it: this view only reads"),)
_ENDS = (("?", "this help"), ("q", "the end, as Ctrl-C"))
_NOTES = (
    "Activity is the number of fills within the last minute.",
    "Amber and bold red stand only on what needs a person.",
    "A symbol that an integrity error has halted needs `mm repair`, then"
    " `mm resume SYMBOL --after-repair`.",
)


def help_page(controls: bool, width: int, height: int) -> list[Text]:
    """What each key does, in at most ``height`` lines."""
    lines = [rule("keys", width)]
    keys = [*_MOVES[width < WIDE], *_KEYS, *(_CHANGES if controls else _NO_CHANGES), *_ENDS]
    widest = max(len(key) for key, _ in keys)
    for key, what in keys:
        line = Text.assemble((f"{key:<{widest}}  ", "bold"))
        lines += wrapped(line, what, widest + 2, width)
    lines.append(Text())
    for note in _NOTES:
        lines += wrapped(Text(), note, 0, width)
    return lines[:height]


def key_lines(snapshot: Snapshot, view: ViewState, width: int, who: str) -> list[Text]:
    """The answer to the last key, and what can be typed now: one line, more for a long answer.

    ``who`` is the operator that a change of mode is made as; empty text in a view that only reads.
    """
    lines = wrapped(Text(), plain(view.message), 0, width)[:MAX_ANSWER] if view.message else []
    for line in lines:
        line.stylize("bold")
    if view.typing is not None:
        return [*lines, _typed(snapshot, view.typing, width, who)]
    return [*lines, parts_line([_key(*one) for one in _keys(view, who)], width)]


def _key(key: str, what: str) -> Text:
    return Text.assemble((key, "bold"), f" {what}")


def _keys(view: ViewState, who: str) -> Sequence[tuple[str, str]]:
    """The keys that can be pressed now, and what they do."""
    if view.help:
        return (("q", "quit"), ("Esc", "back"))
    of = view.symbol if view.page else "all"
    controls = (("p", f"halt {of}"), ("r", f"resume {of}")) if who else ()
    if view.page:
        return (("q", "quit"), ("?", "help"), ("Esc", "back"), ("↑↓", "others"), *controls)
    wanted = f"filter {view.filter} (Esc ends it)" if view.filter else "filter"
    first = (("q", "quit"), ("?", "help"), ("s", "sort"), ("/", wanted))
    return (*first, ("↑↓ Enter", "page"), *controls)


def _typed(snapshot: Snapshot, typing: Typing, width: int, who: str) -> Text:
    """What is being typed: its end is always visible."""
    if typing.key == "/":
        before, after = "/ ", "   Enter keeps the filter, Esc ends it"
    else:
        verb, need = ("halt", "reason") if typing.key == "p" else ("resume", "reason, if any")
        of = typing.symbol or f"all {symbol_count(snapshot)} symbols"
        before, after = f"{verb} {of} as {who}? {need}: ", "   Enter does it, Esc does not"
    room = max(width - len(before) - 1, 8)
    text = typing.text if len(typing.text) <= room else "…" + typing.text[1 - room :]
    line = Text.assemble((before, "bold"), text, ("_", "bold"))
    if line.cell_len + len(after) <= width:
        line.append(after)
    return cut(line, width)
