"""Small pieces of HTML. All text that comes in is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(
    title: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    words: frozenset[int] = frozenset(),
    sums: Iterable[Sequence[str]] = (),
    marked: frozenset[int] = frozenset(),
) -> str:
    """A table that scrolls in itself. The first column names the row.

    ``words`` are the columns of text, the last of which may be long; all others are numbers.
    ``sums`` are rows of sums under the others, and ``marked`` the rows in which something is wrong.
    """
    head = "".join(
        f'<th scope="col"{_kind(at, words, heads)}>{escape(name)}</th>'
        for at, name in enumerate(heads)
    )
    body = "".join(
        f"<tr{' class=differs' if number in marked else ''}>{_cells(row, words, heads)}</tr>\n"
        for number, row in enumerate(rows)
    )
    foot = "".join(f"<tr>{_cells(row, words, heads)}</tr>" for row in sums)
    foot = foot and f"<tfoot>{foot}</tfoot>"
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}">'
        f"<table><caption><span>{escape(title)}</span></caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody>{foot}</table></div>"
    )


def _cells(row: Sequence[str], words: frozenset[int], heads: Sequence[str]) -> str:
    first, *others = row
    cells = "".join(
        f"<td{_kind(at, words, heads)}>{escape(value)}</td>" for at, value in enumerate(others, 1)
    )
    return f'<th scope="row" class="text">{escape(first)}</th>{cells}'


def _kind(at: int, words: frozenset[int], heads: Sequence[str]) -> str:
    if at not in words and at != 0:
        return ""
    is_long = at == len(heads) - 1
    return ' class="text long"' if is_long else ' class="text"'


def figure(name: str, summary: str, caption: str, height: int, picked: bool = False) -> str:
    """The place of a plot. ``summary`` says what it shows to those who do not see it."""
    pick = ' data-pick="1"' if picked else ""
    return (
        f'<figure><div class="plot waiting" role="img" aria-label="{escape(summary)}"'
        f' data-figure="{escape(name)}"{pick} style="min-height:{height}px"></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def section(name: str, title: str, lead: str, *parts: str) -> str:
    """A part of the page, which the navigation leads to."""
    return (
        f'<section id="{escape(name)}" aria-labelledby="{escape(name)}-title">'
        f'<h2 id="{escape(name)}-title">{escape(title)}</h2>'
        f'<p class="lead">{escape(lead)}</p>{"".join(parts)}</section>'
    )


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names with what there is to say of each."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs)
    return f'<dl class="facts">{rows}</dl>'


def tiles(numbers: Iterable[tuple[str, str, str]]) -> str:
    """The few numbers that a reader wants first: what each is, the number, and its unit."""
    rows = "".join(
        f'<div class="tile"><dt>{escape(name)}</dt><dd>{escape(number)}'
        f' <span class="unit">{escape(unit)}</span></dd></div>'
        for name, number, unit in numbers
    )
    return f'<dl class="tiles">{rows}</dl>'


def verdict(agrees: bool, title: str, lines: Sequence[str]) -> str:
    """Whether all is well, in words and in a colour."""
    listed = "".join(f"<li>{escape(line)}</li>" for line in lines)
    listed = listed and f"<ul>{listed}</ul>"
    role = "status" if agrees else "alert"
    kind = "good" if agrees else "bad"
    sign = "✓" if agrees else "✗"
    return (
        f'<div class="verdict {kind}" role="{role}"><p><strong><span aria-hidden="true">{sign} '
        f'</span>{escape(title)}.</strong> <a href="#reconciliation">The figures</a></p>'
        f"{listed}</div>"
    )
