"""Scripts that were written for pyasic 0.79, over Headframe's drivers: ``from headframe.compat import pyasic``.

Names, signatures and keys are pyasic's. What is not known is None, where pyasic has a default; a write of which nobody knows what
became of it is an error, where pyasic says False. ``ports={"simulated": True}``, or ``settings.update("ports", {"simulated": True})``,
finds simulated devices.
"""

# Absolute, also in the modules below with names of pyasic's: a program may put this package in sys.modules as ``pyasic``, and then
# imports those a second time under that name. There must be one set of classes and settings all the same.
from headframe.compat.pyasic import settings
from headframe.compat.pyasic._data import MinerData
from headframe.compat.pyasic._factory import MinerFactory, miner_factory
from headframe.compat.pyasic._find import get_miner
from headframe.compat.pyasic._hashrate import HashRate, HashUnit
from headframe.compat.pyasic._listener import MinerListener
from headframe.compat.pyasic._miner import AnyMiner, BaseMiner
from headframe.compat.pyasic._network import MinerNetwork
from headframe.compat.pyasic._options import DataOptions
from headframe.compat.pyasic._parts import Fan, HashBoard, WhatsminerError, X19Error
from headframe.compat.pyasic.errors import APIError, APIWarning

__all__ = [
    "APIError",
    "APIWarning",
    "AnyMiner",
    "BaseMiner",
    "DataOptions",
    "Fan",
    "HashBoard",
    "HashRate",
    "HashUnit",
    "MinerData",
    "MinerFactory",
    "MinerListener",
    "MinerNetwork",
    "WhatsminerError",
    "X19Error",
    "get_miner",
    "miner_factory",
    "settings",
]
