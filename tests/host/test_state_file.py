"""State files: whole after any crash, and one clear line when they cannot be read."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from mm.errors import SystemRefused
from mm.host.state_file import read_state, write_state

PATTERN = r"[a-z]+\n"


def test_written_and_read(tmp_path: Path) -> None:
    """What was written last is read back; before that there is nothing."""
    path = tmp_path / "state"
    assert read_state(path, PATTERN, "a word") is None
    for text in ("first\n", "second\n"):
        write_state(path, text)
        assert read_state(path, PATTERN, "a word") == text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_crash_leaves_the_old_text(tmp_path: Path, step: str) -> None:
    """A crash before the rename leaves the old text, and the next write works."""
    path = tmp_path / "state"
    write_state(path, "old\n")
    target = "os.fsync" if step == "fsync" else "pathlib.Path.replace"
    with patch(target, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        write_state(path, "new\n")
    assert read_state(path, PATTERN, "a word") == "old\n"
    write_state(path, "new\n")
    assert read_state(path, PATTERN, "a word") == "new\n"


def test_on_disk_before_it_has_the_name(tmp_path: Path) -> None:
    """The text is put on disk before the rename, and the directory after it."""
    path, steps = tmp_path / "state", []
    sync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        sync(handle)
        steps.append("fsync")

    def replaced(source: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(source, target)

    with patch("os.fsync", synced), patch.object(Path, "replace", replaced):
        write_state(path, "text\n")
    assert steps == ["fsync", "rename", "fsync"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"two words\n", "found 'two words"),
        (b"\xff\x00\n", "found"),
        (b"x" * 1_000_000, "found 'xxx"),
    ],
)
def test_garbled(tmp_path: Path, content: bytes, said: str) -> None:
    """Content that is not what it must be is refused in one short line with the file's name."""
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(SystemRefused, match=f"state: it must hold a word; {said}") as caught:
        read_state(path, PATTERN, "a word")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_not_a_file(tmp_path: Path) -> None:
    """What cannot be read at all is refused with the reason."""
    with pytest.raises(SystemRefused, match="cannot be read: Is a directory"):
        read_state(tmp_path, PATTERN, "a word")
