"""Facts as another program reads them."""

from __future__ import annotations

import json
from typing import Any


def plain(facts: object) -> Any:
    """The facts after a way through JSON, which changes nothing that is plain."""
    there_and_back = json.loads(json.dumps(facts))
    assert there_and_back == facts
    return there_and_back
