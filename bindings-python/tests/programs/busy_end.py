"""Ends in the middle of very many calls of its threads, that fail or are awaited: ``busy_end FOLDER``."""

from __future__ import annotations

import asyncio
import sys
import threading
import time

import headframe
from headframe import sync


def fails(site: sync.Site) -> None:
    while True:
        try:
            site.list()
        except headframe.Closed:
            pass


async def awaits(site: headframe.Site) -> None:
    try:
        while True:
            await asyncio.gather(*(site.list({"status": True}) for _ in range(4)))
    except headframe.Closed:
        # The package ended it.
        pass


def main(path: str) -> None:
    # Threads take turns all the time, also within calls.
    sys.setswitchinterval(1e-6)
    closed = sync.Site.open(f"{path}-closed", {}, how="create")
    closed.close()
    site = sync.Site.open(path, {}, how="create")
    for _ in range(3):
        threading.Thread(target=fails, args=(closed,), daemon=True).start()
        threading.Thread(target=asyncio.run, args=(awaits(headframe.Site(site._native)),), daemon=True).start()
    time.sleep(0.2)


if __name__ == "__main__":
    main(*sys.argv[1:])
