"""Standard output and error that any terminal survives.

A terminal that is not UTF-8 cannot show every character. A character that its encoding lacks is
written as one ASCII character that looks like it, so that widths stay as they are, or as ``?``.
"""

from __future__ import annotations

import codecs
import io
import sys

#: Drawing characters and the ASCII that stands for them: one for one, since columns must line up.
_DRAWN = str.maketrans(
    {
        **dict.fromkeys("─╌┄╴╶", "-"),
        **dict.fromkeys("│┃║", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰╔╗╚╝╠╣╦╩╬┏┓┗┛┡┩╇┢┪┳┻╋", "+"),
        **dict.fromkeys("▉▊▋▌▍▎▏━═", "="),
        **dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True)),
        **dict(zip("╸░·…", ">..~", strict=True)),
        **dict(zip("→↑↓▲▼◆", ">^v^v*", strict=True)),
    }
)
_HANDLER = "mm-lookalike"


def lookalike(text: str) -> str:
    """The text in ASCII, of the same length: lookalikes for what is drawn, else ``?``."""
    drawn = text.translate(_DRAWN)
    return drawn.encode("ascii", "replace").decode("ascii")


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return lookalike(error.object[error.start : error.end]), error.end


def make_streams_safe() -> None:
    """Let standard output and error write any text, whatever their encoding."""
    codecs.register_error(_HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)
