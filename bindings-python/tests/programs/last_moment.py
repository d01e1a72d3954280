"""Calls after the package has ended everything, and tells what became of it: ``last_moment FOLDER BASE``."""

from __future__ import annotations

import asyncio
import atexit
import json
import sys
from collections.abc import Callable
from typing import Any

CALLS: dict[str, Callable[[], Any]] = {}
KEPT: list[Any] = []


def last() -> None:
    """Before the package is loaded, so that its own end comes first."""
    print(json.dumps({name: outcome(call) for name, call in CALLS.items()}))


atexit.register(last)

import headframe  # noqa: E402
from headframe import sync  # noqa: E402

from tests.support import opts  # noqa: E402


def outcome(call: Callable[[], Any]) -> str:
    """What becomes of a call."""
    try:
        call()
    except headframe.HeadframeError as e:
        return type(e).__name__
    return "an answer"


def main(path: str, base: str) -> None:
    simulator = sync.Simulator.start(base=base, whatsminers=1)
    site = sync.Site.open(path, {}, how="create")
    device = sync.open_device("whatsminer", opts(simulator.devices()[0]))
    loops = headframe.Device(device._native)
    KEPT.append(simulator)
    CALLS["site"] = site.list
    # Its loop would never be told.
    CALLS["device"] = lambda: asyncio.run(loops.snapshot())
    CALLS["device, waiting"] = device.snapshot


if __name__ == "__main__":
    main(*sys.argv[1:])
