"""Miners."""

from headframe.compat.pyasic._miner import BaseMiner

__all__ = ["BaseMiner"]
