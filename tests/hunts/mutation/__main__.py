"""``scripts/mutate``."""

import sys

from tests.hunts.mutation.run import main

sys.exit(main())
