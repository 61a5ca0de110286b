"""The source trees that a comparison runs: the one that runs now, and one of an earlier commit."""

from __future__ import annotations

import io
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mm.errors import UsageError, shown, shown_path

_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Tree:
    """A source tree whose package ``mm`` can be run; ``commit`` says what it is."""

    path: Path
    commit: str


def own_tree() -> Tree:
    """The tree that runs now, by its commit; UsageError when it is no git checkout."""
    _require_checkout()
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "mm")
    commit = _git("rev-parse", "--short", "HEAD")
    return Tree(_ROOT, commit + (" with changes" if changed else ""))


@contextmanager
def checked_out(revision: str) -> Iterator[Tree]:
    """The package of a revision in a temporary directory, for the ``with`` block.

    UsageError when the revision is unknown or has no package that can be run.
    """
    _require_checkout()
    commit = _commit(revision)
    archive = _run("archive", "--format=zip", commit, "--", "mm")
    with tempfile.TemporaryDirectory(prefix="mm-against-") as place:
        root = Path(place)
        if archive.returncode == 0:
            with zipfile.ZipFile(io.BytesIO(archive.stdout)) as packed:
                packed.extractall(root)
        if not (root / "mm" / "__main__.py").is_file():
            raise UsageError(f"--against {shown(revision)}: it has no package mm that can be run")
        yield Tree(root, _git("rev-parse", "--short", commit))


def _commit(revision: str) -> str:
    """The id of a revision's commit; UsageError when there is none."""
    # Git would take a leading "-" for an option, and no revision begins so.
    found = None if revision.startswith("-") else _try_commit(revision)
    if not found:
        raise UsageError(
            f"--against {shown(revision)}: this checkout has no such revision. Name a commit, a tag"
            " or a branch."
        )
    return found


def _try_commit(revision: str) -> str | None:
    try:
        done = _run("rev-parse", "--verify", "--quiet", revision + "^{commit}")
    except ValueError:
        return None  # A NUL in the revision: no program can be given it.
    return done.stdout.decode().strip() if done.returncode == 0 else None


def _require_checkout() -> None:
    """UsageError unless the source that runs is the top of a git checkout."""
    done = _run("rev-parse", "--show-toplevel")
    top = done.stdout.decode(errors="surrogateescape").strip()
    if done.returncode != 0 or Path(top).resolve() != _ROOT:
        raise UsageError(
            "--against compares with another commit, so mm must run from a git checkout of its"
            f" source. {shown_path(_ROOT)} is not the top of one.{_git_says(done)}"
        )


def _git(*words: str) -> str:
    done = _run(*words)
    if done.returncode != 0:
        raise UsageError(f"--against: `git {words[0]}` failed.{_git_says(done)}")
    return done.stdout.decode().strip()


def _git_says(done: subprocess.CompletedProcess[bytes]) -> str:
    """What git said, as a sentence after another."""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return f" Git says: {lines[0]}" if lines else ""


def _run(*words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(_ROOT), *words], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise UsageError("--against needs git, which is not installed") from error
