"""Mutants of a Lua script, made from its tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.hunts.mutation.edit import Edit

_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|^\#![^\n]*)"
    r"|(?P<string>'(?:[^'\\\n]|\\.)*')"
    r"|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<op>\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^\#<>=(){}\[\];:,.])"
    r"|(?P<blank>\s+)"
)
_KEYWORDS = {
    *["and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in"],
    *["local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"],
}
_WRITES = {
    *["'HSET'", "'HINCRBY'", "'DEL'", "'XADD'", "'XTRIM'", "'ZADD'", "'ZREM'", "'PEXPIREAT'"],
    *["'PEXPIRE'", "'ZREMRANGEBYSCORE'", "'HDEL'"],
}
_COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "~=", "~=": "=="}
_ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*"}
_TWINS = {"min": "max", "max": "min", "floor": "ceil", "true": "false", "false": "true"}
_SIDES = {"bid": "ask", "ask": "bid", "buy": "sell", "sell": "buy"}
_SIDE = re.compile(r"(?<![a-zA-Z])(bid|ask|buy|sell)(?![a-zA-Z])")
#: What may stand before a minus sign that subtracts.
_OPERAND = {"number", "name", "string"}


class Token(NamedTuple):
    """A word of the script: its kind, its text, and where it stands."""

    kind: str
    text: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """The tokens of a script; comments and blanks are left out."""
    found = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"not Lua at offset {position}: {text[position : position + 20]!r}")
        kind = match.lastgroup or ""
        if kind == "name" and match[0] in _KEYWORDS:
            kind = "keyword"
        if kind not in ("comment", "blank"):
            found.append(Token(kind, match[0], match.start(), match.end()))
        position = match.end()
    return found


@dataclass(frozen=True)
class Script:
    """A script's text and tokens."""

    text: str
    tokens: Sequence[Token]

    def at(self, index: int) -> Token:
        """The token, or an empty one outside the script."""
        if 0 <= index < len(self.tokens):
            return self.tokens[index]
        return Token("", "", len(self.text), len(self.text))

    def closing(self, index: int) -> int:
        """The index of the bracket that closes the one at ``index``."""
        depth = 0
        for i in range(index, len(self.tokens)):
            if self.tokens[i].text in ("(", "{", "["):
                depth += 1
            elif self.tokens[i].text in (")", "}", "]"):
                depth -= 1
                if depth == 0:
                    return i
        raise ValueError("an open bracket")

    def replace(self, first: int, last: int, after: str, kind: str) -> Edit:
        """The edit that puts ``after`` in the place of tokens ``first`` to ``last``."""
        return Edit(self.tokens[first].start, self.tokens[last].end, after, kind)


def _operators(script: Script) -> Iterator[Edit]:
    for i, token in enumerate(script.tokens):
        before = script.at(i - 1)
        if token.text in _COMPARISONS:
            yield script.replace(i, i, _COMPARISONS[token.text], "comparison")
        if token.text == "-" and not (before.kind in _OPERAND or before.text in (")", "]", "}")):
            yield script.replace(i, i, "", "sign")
        elif token.kind == "op" and token.text in _ARITHMETIC:
            yield script.replace(i, i, _ARITHMETIC[token.text], "arithmetic")
        if token.text in ("and", "or"):
            yield script.replace(i, i, "or" if token.text == "and" else "and", "and/or")
        elif token.text == "not":
            yield script.replace(i, i, "", "not")
        elif token.kind in ("name", "keyword") and token.text in _TWINS:
            yield script.replace(i, i, _TWINS[token.text], "twin")


def _bounds(script: Script, i: int) -> bool:
    """Whether the number at ``i`` is compared with, or an argument of min or max."""
    beside = {script.at(i - 1).text, script.at(i + 1).text}
    call = script.at(i - 2).text if script.at(i - 1).text == "(" else ""
    return bool(beside & set(_COMPARISONS)) or call in ("min", "max")


def _numbers(script: Script) -> Iterator[Edit]:
    highest: dict[str, int] = {}
    for i, token in enumerate(script.tokens):
        if token.kind == "number" and script.at(i - 1).text == "[":
            name = script.at(i - 2).text
            highest[name] = max(highest.get(name, 0), int(token.text))
    for i, token in enumerate(script.tokens):
        if token.kind != "number":
            continue
        value = int(token.text)
        if script.at(i - 1).text == "[":
            name = script.at(i - 2).text
            other = value - 1 if value == highest[name] and value > 1 else value + 1
            yield script.replace(i, i, str(other), "index")
        elif script.at(i - 1).text not in ("and", "or"):  # those are swapped as they are
            yield script.replace(i, i, str(value + 1), "number")
            if _bounds(script, i):
                yield script.replace(i, i, str(value - 1), "number")


def _conditions(script: Script) -> Iterator[Edit]:
    for i, token in enumerate(script.tokens):
        if token.text in ("if", "elseif", "while"):
            closing = "do" if token.text == "while" else "then"
            end = next(j for j in range(i, len(script.tokens)) if script.at(j).text == closing)
            if script.at(i + 1).text == "true":
                continue
            yield script.replace(i + 1, end - 1, "false", "check dropped")
            if token.text != "while":
                yield script.replace(i + 1, end - 1, "true", "check dropped")


def _statement_end(script: Script, start: int) -> int:
    """The index of the last token of the statement that starts at ``start``."""
    i = start
    while i < len(script.tokens):
        if script.at(i).text in ("(", "{", "["):
            i = script.closing(i)
        after, here = script.at(i + 1), script.at(i)
        goes_on = here.kind == "op" and here.text not in (")", "}", "]")
        goes_on = goes_on or here.text in ("and", "or", "not")
        joined = after.text in ("and", "or") or (after.kind == "op")
        new_line = "\n" in script.text[here.end : after.start]
        if not goes_on and not joined and (new_line or not after.text):
            return i
        i += 1
    return len(script.tokens) - 1


def _statements(script: Script) -> Iterator[Edit]:
    depth = 0
    for i, token in enumerate(script.tokens):
        before = script.at(i - 1)
        starts = i == 0 or "\n" in script.text[before.end : token.start]
        ended = before.kind != "op" or before.text in (")", "}", "]")
        ended = ended and before.text not in ("and", "or", "not", "return", "=", "in")
        if starts and ended and depth == 0 and token.kind == "name":
            yield script.replace(i, _statement_end(script, i), "", "statement dropped")
        if token.text in ("(", "{", "["):
            depth += 1
        elif token.text in (")", "}", "]"):
            depth -= 1


def _calls(script: Script) -> Iterator[Edit]:
    """Writes whose result is used, and single fields of those that write several."""
    for i, token in enumerate(script.tokens):
        if token.text != "call" or script.at(i + 2).text not in _WRITES:
            continue
        end = script.closing(i + 1)
        if script.at(i - 3).text in ("=", "return"):
            yield script.replace(i - 2, end, "false", "write dropped")
        for j in range(i + 3, end):
            word = script.at(j)
            if word.kind == "string" and re.fullmatch(r"'[a-z_]{3,}'", word.text):
                yield script.replace(j, j, word.text[:-1] + "q'", "field")


def _words(script: Script) -> Iterator[Edit]:
    for i, token in enumerate(script.tokens):
        if token.kind in ("name", "string"):
            found = _SIDE.search(token.text.replace("_", " "))
            if found and " " not in token.text:  # what is said to people may be said otherwise
                side = token.text[found.start() : found.end()]
                after = token.text[: found.start()] + _SIDES[side] + token.text[found.end() :]
                yield script.replace(i, i, after, "side")
        if token.text == "'('":
            yield script.replace(i, i, "''", "exclusive")
        if token.kind == "string" and token.text.startswith("'^"):
            yield script.replace(i, i, "'" + token.text[2:], "anchor")
        if token.kind == "string" and token.text.endswith("$'"):
            yield script.replace(i, i, token.text[:-2] + "'", "anchor")


_MAKERS: Sequence[Callable[[Script], Iterator[Edit]]] = (
    _operators,
    _numbers,
    _conditions,
    _statements,
    _calls,
    _words,
)


def edits(text: str) -> list[Edit]:
    """All mutants of a script, in the order of their places; each text once."""
    script = Script(text, tokens(text))
    unique = {(one.start, one.end, one.after): one for make in _MAKERS for one in make(script)}
    return [unique[key] for key in sorted(unique)]
