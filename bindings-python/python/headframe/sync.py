"""The package for scripts and notebooks: everything waits, and Ctrl-C ends the wait."""

from __future__ import annotations

from ._driver import Driver
from ._headframe import Reading, Snapshot, Table
from ._sync.actions import Actions
from ._sync.device import Device, open_device
from ._sync.discover import Discovery, discover
from ._sync.simulator import Simulator, simulate_history
from ._sync.site import Site
from ._sync.stream import Stream

__all__ = [
    "Actions",
    "Device",
    "Discovery",
    "Driver",
    "Reading",
    "Simulator",
    "Site",
    "Snapshot",
    "Stream",
    "Table",
    "discover",
    "open_device",
    "simulate_history",
]
