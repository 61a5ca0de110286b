"""``mm doctor``: what of machine, server and data directory would trouble a system, and what to do.

It changes nothing. What it measures of the disk is shown as found, without a judgement.
"""

from mm.doctor.examine import examine
from mm.doctor.finding import Finding

__all__ = ["Finding", "examine"]
