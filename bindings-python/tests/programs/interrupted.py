"""Is interrupted, as by Ctrl-C, while it waits, and tells what became of it: ``interrupted WHAT FOLDER BASE``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from typing import Any

import headframe
from headframe import sync

from tests.support import SIMULATED, conf

AFTER = 0.4


def interrupt() -> None:
    """Another thread does it."""
    threading.Timer(AFTER, os.kill, (os.getpid(), signal.SIGINT)).start()


def scan(simulator: sync.Simulator, _: sync.Site, base: str) -> None:
    for _event in sync.discover(base, ports=SIMULATED):
        pass


def snapshot(simulator: sync.Simulator, _: sync.Site, base: str) -> None:
    ports = simulator.devices()[0]["ports"]
    sync.open_device("whatsminer", {"address": base, "port": ports["rpc"]}).snapshot()


def stream(_: sync.Simulator, site: sync.Site, base: str) -> None:
    next(site.subscribe())


async def stream_of_asyncio(path: str) -> None:
    async with await headframe.Site.open(path, conf(), how="create") as site:
        await anext(site.subscribe())


def interrupted(call: Any, *args: Any) -> dict[str, Any]:
    """What becomes of a call."""
    interrupt()
    began = time.monotonic()
    try:
        call(*args)
        told = "ended"
    except BaseException as e:
        told = type(e).__name__
    return {"told": told, "late": time.monotonic() - began - AFTER}


def main(what: str, path: str, base: str) -> None:
    if what == "asyncio":
        print(json.dumps({**interrupted(lambda: asyncio.run(stream_of_asyncio(path))), "after": 0}))
        return
    calls = {"scan": scan, "snapshot": snapshot, "stream": stream}
    with sync.Simulator.start(base=base, whatsminers=1) as simulator, sync.Site.open(path, conf(), how="create") as site:
        simulator.fault(0, {"kind": "hang"})
        told = interrupted(calls[what], simulator, site, base)
        # What is left behind is as it was.
        print(json.dumps({**told, "after": site.counts()["things"] + len(simulator.devices()) - 1}))


if __name__ == "__main__":
    main(*sys.argv[1:])
