"""``python -m explorer``; its own module, so that the workers find the rest by name."""

import sys

from tests.hunts.explorer.cli import main

if __name__ == "__main__":
    sys.exit(main())
