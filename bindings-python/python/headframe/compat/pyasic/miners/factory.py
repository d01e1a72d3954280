"""How miners are found."""

from headframe.compat.pyasic._factory import MinerFactory, miner_factory

__all__ = ["MinerFactory", "miner_factory"]
