"""``python -m explorer``; its own module, so that the workers find the rest by name."""

import sys

from explorer.cli import main

if __name__ == "__main__":
    sys.exit(main())
