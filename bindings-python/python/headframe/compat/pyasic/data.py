"""What miners say."""

from headframe.compat.pyasic._data import MinerData
from headframe.compat.pyasic._hashrate import HashRate, HashUnit
from headframe.compat.pyasic._parts import (
    DeviceInfo,
    Fan,
    HashBoard,
    MinerError,
    PoolMetrics,
    PoolUrl,
    WhatsminerError,
    X19Error,
)

__all__ = [
    "DeviceInfo",
    "Fan",
    "HashBoard",
    "HashRate",
    "HashUnit",
    "MinerData",
    "MinerError",
    "PoolMetrics",
    "PoolUrl",
    "WhatsminerError",
    "X19Error",
]
