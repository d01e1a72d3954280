"""Ends right after calls that wait were cancelled: ``cancelled BASE``."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import headframe

from tests.support import opts

KEPT: list[Any] = []


async def main(base: str) -> None:
    simulator = await headframe.Simulator.start(base=base, whatsminers=1)
    simulator.fault(0, {"kind": "hang"})
    device = await headframe.open_device("whatsminer", opts(simulator.devices()[0]))
    calls = [asyncio.ensure_future(device.snapshot()) for _ in range(200)]
    await asyncio.sleep(0.1)
    KEPT.extend((simulator, device, calls))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
