"""Miners whose IP-report button is pressed."""

from headframe.compat.pyasic._listener import MinerListener

__all__ = ["MinerListener"]
