"""Networks of miners."""

from headframe.compat.pyasic._network import MinerNetwork

__all__ = ["MinerNetwork"]
