"""Programs of this package as children: the same interpreter and packages as here.

The working directory is not on their path. A file of the user there, such as ``redis.py``, would
be run in place of the library of that name.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def module_command(module: str) -> list[str]:
    """The command that runs a module of this package; see :func:`module_environment`."""
    return [sys.executable, "-P", "-m", module]


def module_environment() -> dict[str, str]:
    """The environment of such a child.

    A source tree that this process found because it is the working directory is named to the child.
    """
    environment = dict(os.environ)
    with contextlib.suppress(FileNotFoundError):  # The working directory may have been removed.
        if Path(sys.path[0]).absolute() == _ROOT:
            others = environment.get("PYTHONPATH")
            environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *([others] if others else [])])
    return environment
