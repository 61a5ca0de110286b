"""The plotting library, which the package's extra ``report`` brings; imported when it is needed."""

from __future__ import annotations

from mm.errors import ExtraMissing


def check_plots() -> None:
    """ExtraMissing when plotly is not installed."""
    try:
        import plotly  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise ExtraMissing("a report", "plotly", "report") from error


def plot_script() -> str:
    """The text of the script that draws in the reader's browser."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
