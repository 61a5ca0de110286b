"""The most telling failures on a throwaway market: ``python -m mm.lab.demo`` plays them."""

from mm.lab.demo.scenes import play

__all__ = ["play"]
