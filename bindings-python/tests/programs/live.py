"""Ends in some way while its site lives and streams: ``live FACE HOW FOLDER BASE``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any

import headframe
from headframe import sync

from tests.support import RACK, conf, drafts

KEPT: list[Any] = []
SEEN: Counter[str] = Counter()
"""How many readings each thing gave."""


def noted(batch: list[headframe.Reading]) -> None:
    SEEN.update(reading.thing for reading in batch)


async def streams(path: str, base: str) -> None:
    simulator = await headframe.Simulator.start(base=base, whatsminers=2)
    site = await headframe.Site.open(path, conf(100), how="openOrCreate")
    await site.register(RACK, drafts(simulator.devices()), "ann@site")
    stream = site.subscribe()
    while SEEN.total() < 6:
        noted(await anext(stream))
    waiting = [asyncio.ensure_future(_all(stream)), asyncio.ensure_future(_all(site.actions.watch()))]
    await asyncio.sleep(0.2)
    KEPT.extend((simulator, site, stream, waiting))


async def _all(stream: headframe.Stream[Any]) -> None:
    async for _ in stream:
        pass


def streams_in_threads(path: str, base: str) -> None:
    simulator = sync.Simulator.start(base=base, whatsminers=2)
    site = sync.Site.open(path, conf(100), how="openOrCreate")
    site.register(RACK, drafts(simulator.devices()), "ann@site")
    stream = site.subscribe()
    while SEEN.total() < 6:
        noted(next(stream))
    for waiting in (stream, site.actions.watch(), sync.discover("127.106.1.1-127.106.1.250", concurrency=1)):
        threading.Thread(target=_through, args=(waiting,), daemon=True).start()
    KEPT.extend((simulator, site, stream))


def _through(stream: Iterable[Any]) -> None:
    for _ in stream:
        pass


def main(face: str, how: str, path: str, base: str) -> None:
    if face == "asyncio":
        asyncio.run(streams(path, base))
    else:
        streams_in_threads(path, base)
    print(json.dumps(SEEN), flush=True)
    if how == "exit":
        sys.exit(7)
    if how == "raise":
        raise RuntimeError("nobody caught this")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
