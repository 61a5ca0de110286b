"""A run as one HTML file: plots to look at, and tables whose money is exact."""

from mm.report.facts import report_facts
from mm.report.page import page
from mm.report.past import Past, read_past
from mm.report.plots import check_plots

__all__ = ["Past", "check_plots", "page", "read_past", "report_facts"]
