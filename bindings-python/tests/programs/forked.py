"""Is forked while its site lives, and tells what the child and then the parent can do: ``forked END FOLDER BASE``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import headframe
from headframe import _headframe as native
from headframe import sync

from tests.support import ANN, RACK, conf, drafts, opts

PATIENCE = 8


def outcome(call: Callable[[], Any]) -> str:
    """What becomes of a call."""
    try:
        call()
    except headframe.HeadframeError as e:
        return f"{type(e).__name__} {e.code}"
    return "an answer"


def child(simulator: sync.Simulator, site: sync.Site, call: native.Call, path: str) -> dict[str, str]:
    """What a child can do with what its parent has open, with a call that was under way, and with the package."""
    calls: dict[str, Callable[[], Any]] = {
        "list": site.list,
        "call": lambda: site.call(ANN, "ping"),
        "counts": site.counts,
        "subscribe": site.subscribe,
        "close": site.close,
        "devices": simulator.devices,
        "discover": lambda: list(sync.discover("127.106.2.1")),
        "open": lambda: sync.Site.open(path, {}),
        "device": lambda: sync.open_device("whatsminer", {"address": "127.106.2.1"}),
        "asyncio": lambda: asyncio.run(headframe.Site.open(path, {})),
        "a call from before": call.wait,
        "set up again": lambda: again(site),
    }
    return {name: outcome(call) for name, call in calls.items()}


def again(site: sync.Site) -> Any:
    """Calls after what the package does that is loaded anew."""
    native.set_up()
    return site.list()


def ended(pid: int) -> str:
    """How a child ended; one that hangs is killed."""
    late = time.monotonic() + PATIENCE
    while time.monotonic() < late:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return f"code {os.waitstatus_to_exitcode(status)}"
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hangs"


def main(end: str, path: str, base: str) -> None:
    simulator = sync.Simulator.start(base=base, whatsminers=2)
    site = sync.Site.open(path, conf(100), how="create")
    site.register(RACK, drafts(simulator.devices()[:1]), "ann@site")
    stream = site.subscribe()
    next(stream)
    simulator.fault(1, {"kind": "hang"})
    device = sync.open_device("whatsminer", opts(simulator.devices()[1]))
    call = device._native.snapshot(60_000)
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writes, json.dumps(child(simulator, site, call, path)).encode())
        os.close(writes)
        # With the interpreter's own end it lets go of all that it has of its parent.
        os._exit(0) if end == "at once" else sys.exit(0)
    os.close(writes)
    how = ended(pid)
    told = os.read(reads, 65_536).decode()
    before = site.counts()["pollsDone"]
    while site.counts()["pollsDone"] < before + 2:
        next(stream)
    things = len(site.list()["items"])
    report = site.close() or {}
    simulator.close()
    print(json.dumps({"child": json.loads(told or "{}"), "ended": how, "things": things, "left": report["undelivered"]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
