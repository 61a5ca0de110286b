"""mm.store.lua: includes are put in place once each, in the order in which they need each other."""

from __future__ import annotations

import pytest

from mm.store.lua import assembled, assembled_lines, expand, script_names, script_text


def files(**texts: str) -> dict[str, str]:
    """Scripts and includes by name: blanks in a text end its lines, ``+x`` includes x."""
    return {
        name: "\n".join(word.replace("+", "-- INCLUDE ") for word in text.split())
        for name, text in texts.items()
    }


def expanded(**texts: str) -> str:
    """The lines of the script ``s`` with its includes, each after a blank."""
    known = files(**texts)

    def include(name: str) -> str:
        if name not in known:
            raise FileNotFoundError(name)
        return known[name]

    return " ".join(line.text for line in expand("s", known["s"], include))


def test_what_an_include_needs_comes_first() -> None:
    """An include that needs another gets it in front of its own lines."""
    assert expanded(s="top +a end", a="+b a1 a2", b="b1") == "top b1 a1 a2 end"


def test_each_include_is_put_in_once() -> None:
    """What several files need stands where the first of them needs it, and nowhere else."""
    assert expanded(s="+a +b +c end", a="+c a1", b="+c b1", c="c1") == "c1 a1 b1 end"


def test_lines_know_their_files() -> None:
    """Each line says from which file it comes, and its number there."""
    known = files(s="top +a end", a="+b a1", b="b1 b2")
    found = [(line.file, line.number) for line in expand("s", known["s"], known.__getitem__)]
    assert found == [("s", 1), ("b", 1), ("b", 2), ("a", 2), ("s", 3)]


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        ({"s": "+a", "a": "+b", "b": "+a"}, "includes in a circle: a -> b -> a"),
        ({"s": "+a", "a": "+a"}, "includes in a circle: a -> a"),
        ({"s": "+a", "a": "+c", "c": "+d", "d": "+c"}, "includes in a circle: c -> d -> c"),
        ({"s": "+a +a", "a": "a1"}, "s.lua includes a twice"),
        ({"s": "+a +b", "a": "+c +c", "b": "+c", "c": "c1"}, "a.lua includes c twice"),
        ({"s": "+a", "a": "+z"}, "a.lua includes z, which does not exist"),
    ],
)
def test_includes_that_cannot_be_put_in_place(texts: dict[str, str], why: str) -> None:
    """A circle, a second line for the same include and an unknown include are named."""
    with pytest.raises(ValueError, match=f"^{why}$"):
        expanded(**texts)


@pytest.mark.parametrize("name", script_names())
def test_scripts_as_sent(name: str) -> None:
    """A script as sent begins with its own first line, ends with its last, and includes no more."""
    own, sent = script_text(name).splitlines(), assembled(name).splitlines()
    assert (sent[0], sent[-1]) == (own[0], own[-1])
    assert not [line for line in sent if line.startswith("-- INCLUDE")]
    assert len(sent) == len(assembled_lines(name))
