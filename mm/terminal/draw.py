"""Drawing pieces without any knowledge of the market: bars, sparklines, rules, fitted lines."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

QUIET = "bright_black"
GOOD, WARN, BAD = "green", "yellow", "red"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = "▁▂▃▄▅▆▇█"


def plain(text: str) -> str:
    """The text on one line, with a space for each character that cannot be printed."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def grouped(count: int) -> str:
    """An integer with commas between its thousands."""
    return f"{count:,}"


def grouped_decimal(amount: str) -> str:
    """Plain decimal text with commas between the thousands of its whole part."""
    whole, point, decimals = amount.removeprefix("-").partition(".")
    sign = "-" if amount.startswith("-") else ""
    return f"{sign}{int(whole):,}{point}{decimals}"


def short_count(count: int) -> str:
    """A count in at most five places: 9999, 12.3k, 4.5M; rounded down."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size and count >= 10_000:
            tenths = count * 10 // size
            return (
                f"{tenths // 10}.{tenths % 10}{unit}"
                if tenths < 1_000
                else f"{count // size}{unit}"
            )
    return str(count)


def duration(ms: int) -> str:
    """A length of time in at most six places: 250 ms, 12.5 s, 310 s, 90 min."""
    if ms < 1_000:
        return f"{ms} ms"
    if ms < 100_000:
        return f"{ms // 1_000}.{ms % 1_000 // 100} s"
    return f"{ms // 1_000} s" if ms < 1_000_000 else f"{ms // 60_000} min"


def trimmed(amount: str) -> str:
    """The same decimal without the zeros at its end that follow its second decimal."""
    whole, point, decimals = amount.partition(".")
    kept = decimals.rstrip("0")
    return whole + point + kept.ljust(min(2, len(decimals)), "0")


def signed(amount: str) -> Text:
    """Decimal text with its sign, green above and red below zero."""
    amount = trimmed(amount)
    if amount.startswith("-"):
        return Text(amount, BAD)
    return Text(f"+{amount}", GOOD) if amount.strip("0.") else Text(amount)


def bar(part: int, whole: int, width: int, style: str) -> Text:
    """``part`` of ``whole`` as a bar, in eighths of a cell; any part above 0 is visible."""
    eighths = min(max(part, 0) * 8 * width // whole, 8 * width) if whole > 0 else 0
    if part > 0 and width > 0:
        eighths = max(eighths, 1)
    cells, rest = divmod(eighths, 8)
    filled = "█" * cells + (_EIGHTHS[rest] if rest else "")
    return Text.assemble((filled, style), ("░" * (width - len(filled)), QUIET))


def thin_bar(part: int, whole: int, width: int, style: str) -> Text:
    """``part`` of ``whole`` as a line in half cells: bars in adjacent rows do not touch."""
    halves = min(max(part, 0) * 2 * width // whole, 2 * width) if whole > 0 else 0
    if part > 0 and width > 0:
        halves = max(halves, 1)
    filled = "━" * (halves // 2) + "╸" * (halves % 2)
    return Text.assemble((filled, style), ("─" * (width - len(filled)), QUIET))


def sparkline(values: Sequence[int]) -> str:
    """One cell for each value, as high as its part of the highest value; a dot for 0."""
    highest = max(values, default=0)
    return "".join(
        _LEVELS[(value * len(_LEVELS) - 1) // highest] if value > 0 else "·" for value in values
    )


def trend(values: Sequence[int]) -> str:
    """One cell for each value, as high as it is between the lowest and the highest one."""
    lowest, highest = min(values, default=0), max(values, default=0)
    steps = len(_LEVELS) - 1
    return "".join(_LEVELS[(one - lowest) * steps // max(highest - lowest, 1)] for one in values)


def rule(title: str, width: int, note: str = "") -> Text:
    """A line with a title at its left and a note at its right."""
    end = f" {plain(note)} ─" if note else ""
    line = Text.assemble(("─ ", QUIET), (plain(title), "bold"), " ")
    line.append("─" * max(0, width - line.cell_len - cell_len(end)) + end, QUIET)
    return cut(line, width)


def cut(line: Text, width: int) -> Text:
    """The line itself, cropped with an ellipsis to ``width`` cells, never wrapped."""
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    line.overflow = "crop"
    return line


def parts_line(parts: Sequence[Text], width: int, gap: str = "  ") -> Text:
    """The parts in one line, as many of the first ones as fit: none is cut but the very first."""
    line = Text()
    for part in parts:
        space = gap if line else ""
        if line and line.cell_len + len(space) + part.cell_len > width:
            break
        line.append(space).append_text(part)
    return cut(line, max(width, 0))


def wrapped(first: Text, words: str, indent: int, width: int) -> list[Text]:
    """Words behind the first line's beginning, in as many lines as they need."""
    lines = [first]
    for word in words.split():
        space = "" if lines[-1].cell_len <= indent else " "
        if lines[-1].cell_len + len(space) + len(word) > width and lines[-1].cell_len > indent:
            lines.append(Text(" " * indent))
            space = ""
        lines[-1].append(space + word)
    return [cut(line, width) for line in lines]
