"""mm: a market-maker trading system on Redis whose state survives being killed anywhere."""

__version__ = "0.1.0"
