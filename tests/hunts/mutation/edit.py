"""A mutant: one small change of one file's text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """Replace ``text[start:end]`` by ``after``; ``kind`` names the operator that made it."""

    start: int
    end: int
    after: str
    kind: str


@dataclass(frozen=True)
class Mutant:
    """An edit of a file of the repository, with its number in the catalogue.

    ``was`` and ``becomes`` are the changed lines before and after, blanks collapsed: they name
    the mutant wherever its line has moved to.
    """

    number: int
    file: str
    line: int
    edit: Edit
    was: str
    becomes: str

    def apply(self, text: str) -> str:
        """The file's text with the change."""
        return text[: self.edit.start] + self.edit.after + text[self.edit.end :]

    def __str__(self) -> str:
        return f"#{self.number} {self.file}:{self.line} {self.edit.kind}\n" + self.difference()

    def difference(self) -> str:
        """The changed lines, before and after."""
        return f"    - {self.was}\n    + {self.becomes}"


def numbered(number: int, file: str, text: str, edit: Edit) -> Mutant:
    """The mutant that an edit of a file's text makes."""
    first = text.rfind("\n", 0, edit.start) + 1
    last = text.find("\n", edit.end)
    last = len(text) if last < 0 else last
    was = " ".join(text[first:last].split())
    becomes = " ".join((text[first : edit.start] + edit.after + text[edit.end : last]).split())
    return Mutant(number, file, text.count("\n", 0, edit.start) + 1, edit, was, becomes)
