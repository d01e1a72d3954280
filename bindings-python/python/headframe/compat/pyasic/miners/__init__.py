"""Miners, and how they are found."""

from headframe.compat.pyasic._factory import MinerFactory, miner_factory
from headframe.compat.pyasic._find import get_miner
from headframe.compat.pyasic._miner import AnyMiner, BaseMiner
from headframe.compat.pyasic._options import DataOptions

__all__ = ["AnyMiner", "BaseMiner", "DataOptions", "MinerFactory", "get_miner", "miner_factory"]
