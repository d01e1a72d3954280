"""Opens, uses and leaves everything again and again, and says what the process holds after each round."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import headframe
from headframe import HeadframeError, sync

from trust.account import LAST_S, say
from trust.world import ANN, PORTS, RIGHTS, Pick, World, closing, given, leave, plainly, read, readers, world

LOOKS, APART_S = 200, 0.025
"""How often is looked whether what nobody holds any more is gone, and how long apart."""


def held() -> dict[str, int]:
    """What the process holds."""
    kib = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text("ascii"))
    assert kib is not None
    return {"kib": int(kib[1]), "threads": len(os.listdir("/proc/self/task")), "files": len(os.listdir("/proc/self/fd"))}


async def used(of: World) -> None:
    """Uses everything once."""
    await given(of.device.snapshot())
    try:
        await given(of.odd.snapshot(within_ms=50))
    except HeadframeError:
        pass
    await given(of.site.list({"status": True}))
    await given(of.site.call({"user": ANN, "permissions": RIGHTS}, "listThings", {}))
    await given(of.site.series_table({"things": {"ids": ["m"]}, "metric": "stats.power_w", "from": 0, "to": 1, "step": "raw"}))
    stream = of.site.subscribe()
    seen: list[Any] = []
    while not seen:
        seen += [reading for reading in await _next(stream) if reading.as_dict() and reading.snapshot.as_dict()]
    await leave(stream)
    scan = of.face.discover(of.address, ports=PORTS)
    await read(scan, 1)
    scan.stop()
    await given(closing(await given(of.face.open_device("whatsminer", of.opts)))())


async def _next(stream: Any) -> Any:
    return await anext(stream) if hasattr(stream, "__anext__") else next(stream)


async def closed(of: World) -> None:
    """Closes everything."""
    for handle in (of.site, of.device, of.odd, of.hung, of.plain, of.quits, of.simulator):
        if handle is not None:
            await given(closing(handle)())


async def in_a_loop(pick: Pick, folder: Path, close: bool) -> None:
    """A round in an event loop. What is not closed is left to the collector."""
    of = await world(pick, folder, headframe)
    streams = await readers(of)
    reading = [asyncio.ensure_future(read(stream)) for stream in streams]
    await used(of)
    for stream in streams[pick(2) :]:
        await leave(stream)
    for one in reading:
        one.cancel()
    await asyncio.wait(reading)
    if close:
        await closed(of)


def by_itself(pick: Pick, folder: Path, close: bool) -> None:
    """A round through the synchronous package."""
    of = plainly(world(pick, folder, sync))
    streams = plainly(readers(of))
    reading = [threading.Thread(target=plainly, args=(read(stream),)) for stream in streams]
    for thread in reading:
        thread.start()
    plainly(used(of))
    for stream in streams:
        plainly(leave(stream))
    for thread in reading:
        thread.join()
    if close:
        plainly(closed(of))


def free(folder: Path) -> bool:
    """Whether somebody may have a folder's site again: what was left open is gone then."""
    for _ in range(LOOKS):
        gc.collect()
        try:
            sync.Site.open(folder / "site", {}).close()
            return True
        except headframe.Conflict:
            time.sleep(APART_S)
        except HeadframeError:
            return True
    return False


def rounds(pick: Pick, count: int) -> None:
    """All of them, through either package, closed and left, in turn."""
    for n in range(count):
        faulthandler.dump_traceback_later(LAST_S, exit=True)
        folder, close = Path(tempfile.mkdtemp(prefix="round-", dir=".")), n % 2 == 0
        if n // 2 % 2:
            by_itself(pick, folder, close)
        else:
            asyncio.run(in_a_loop(pick, folder, close))
        if not free(folder):
            say(violation=f"round {n}: nobody holds the site any more, and it is still open")
        say(probe="closed" if close else "collected")
        shutil.rmtree(folder, ignore_errors=True)
        gc.collect()
        say(held=held())
