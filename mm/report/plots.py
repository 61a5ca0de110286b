"""The plotting library, which the package's extra ``report`` brings; imported when it is needed."""

from __future__ import annotations

from mm.errors import UsageError


def check_plots() -> None:
    """UsageError when plotly is not installed."""
    try:
        import plotly  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise UsageError(
            "a report needs plotly: install the package with its extra `report`"
        ) from error


def plot_script() -> str:
    """The text of the script that draws in the reader's browser."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
