"""Runs bitcoin-mining sites from inside your Python program: finds devices, collects what they say, keeps truthful history, and
carries out writes only when the right people have voted for them.

Everything here is for asyncio; :mod:`headframe.sync` has the same for scripts and notebooks.
"""

from __future__ import annotations

import atexit

from . import _headframe as _native
from ._async.actions import Actions
from ._async.device import Device, open_device
from ._async.discover import Discovery, discover
from ._async.simulator import Simulator, simulate_history
from ._async.site import Site
from ._async.stream import Stream
from ._driver import Driver
from ._errors import (
    BadReply,
    Closed,
    Conflict,
    Corrupt,
    Forbidden,
    HeadframeError,
    Internal,
    Invalid,
    NotFound,
    RateLimited,
    Rejected,
    Timeout,
    Unauthenticated,
    Unreachable,
    Unsupported,
)
from ._headframe import Reading, Snapshot, Table

__version__: str = _native.VERSION

_native.set_up()
atexit.register(_native.end)

__all__ = [
    "Actions",
    "BadReply",
    "Closed",
    "Conflict",
    "Corrupt",
    "Device",
    "Discovery",
    "Driver",
    "Forbidden",
    "HeadframeError",
    "Internal",
    "Invalid",
    "NotFound",
    "RateLimited",
    "Reading",
    "Rejected",
    "Simulator",
    "Site",
    "Snapshot",
    "Stream",
    "Table",
    "Timeout",
    "Unauthenticated",
    "Unreachable",
    "Unsupported",
    "discover",
    "open_device",
    "simulate_history",
]
