"""Run the command line: ``mm`` and ``python -m mm``."""

import contextlib
import signal
import sys
from pathlib import Path


def prepare() -> None:
    """Make ready for the imports that follow.

    ``python -m`` has put the working directory on the path. A file of the user there, such as
    ``click.py``, would be run in place of the library of that name. A source tree of this package
    stays on the path.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C while modules load is no traceback. Commands that end in order set a handler.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    root = Path(__file__).resolve().parent.parent
    with contextlib.suppress(FileNotFoundError):  # The working directory may have been removed.
        if not sys.flags.safe_path and Path(sys.path[0]) == Path.cwd() != root:
            del sys.path[0]


prepare()

from mm.cli import main  # noqa: E402  # the path must be right before it

if __name__ == "__main__":
    main()
