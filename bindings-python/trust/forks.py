"""Processes that are forked in the middle of calls. A child has no part in what its parent holds, and says so."""

from __future__ import annotations

import asyncio
import faulthandler
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headframe
from headframe import HeadframeError, sync
from headframe import _headframe as native

from trust.account import Account, say, told
from trust.calls import end_now, hostile_now
from trust.ends import busy
from trust.world import ANN, Face, World, closing, given, plainly, random, read, world

WITHIN_S = 30
"""How long a child has to end."""


def forked(seed: int, count: int) -> None:
    """Forks in every way, while threads call; and goes on."""
    # A child that ends in order would wait for the thread of this.
    faulthandler.cancel_dump_traceback_later()
    pick, account = random(seed), Account()
    of = plainly(world(pick, Path(tempfile.mkdtemp(prefix="forks-", dir=".")), sync))
    accounts = busy(of, pick, 2)
    waits = _waits(of)
    for way in (at_once, in_order, by_multiprocessing):
        time.sleep(pick(200) / 1_000)
        how = way(lambda: child(of, waits))
        if how == 0:
            say(probe="forked")
        else:
            say(violation=f"a child that ended {way.__name__} did so with {how}")
        hostile_now(account, of, pick, count // 10)
    # A call that somebody keeps and nobody waits for keeps what it was made on from closing.
    waits.clear()
    end_now(account, of)
    for one in (account, *accounts):
        one.tell()


def _waits(of: World) -> list[Any]:
    """Calls that are under way, and streams with something in them."""
    stream = of.site.subscribe()
    plainly(read(stream, 1))
    return [stream, of.site._native.backup(str(of.folder / "b")), of.hung._native.snapshot(20_000)]


def child(of: World, waits: list[Any]) -> None:
    """What a child can do: nothing, and it is told so."""
    for face in (sync, headframe):
        there = of.through(face)
        runs: Callable[[Any], Any] = asyncio.run if face is headframe else plainly
        for name, call in calls(face, there).items():
            _refused(name, lambda call=call: runs(_given(call)))  # type: ignore[misc]
    _refused("a call from before", waits[-1].wait)
    # Whoever loads it anew has no more threads for it.
    native.set_up()
    _refused("set up again", of.site.list)


def _refused(name: str, call: Callable[[], Any]) -> None:
    try:
        call()
        say(violation=f"forked, {name}: no error")
    except HeadframeError as e:
        if e.code != "ERR_FORKED":
            say(violation=f"forked, {name}: {told(e)}")
    except Exception as e:
        say(violation=f"forked, {name}: {told(e)}")


async def _given(call: Callable[[], Any]) -> None:
    await given(call())


def calls(face: Face, of: World) -> dict[str, Callable[[], Any]]:
    """A call of each handle, and of what opens some."""
    draft = {"action": "reboot", "query": {}, "params": []}
    return {
        "site.list": of.site.list,
        "site.counts": of.site.counts,
        "site.id": lambda: of.site.id,
        "site.subscribe": of.site.subscribe,
        "site.close": closing(of.site),
        "closed.list": of.closed.list,
        "actions.push": lambda: of.site.actions.push(draft, ANN),
        "actions.watch": of.site.actions.watch,
        "device.snapshot": of.device.snapshot,
        "device.capability": of.device.capability,
        "device.close": closing(of.device),
        "odd.snapshot": of.odd.snapshot,
        "simulator.devices": of.simulator.devices,
        "simulator.close": closing(of.simulator),
        "discover": lambda: read(face.discover(of.address), 1),
        "Site.open": lambda: face.Site.open(of.folder / "site", {}),
        "Site.restore": lambda: face.Site.restore(of.folder / "b", of.folder / "c"),
        "open_device": lambda: face.open_device("whatsminer", of.opts),
        "Simulator.start": lambda: face.Simulator.start(base=of.address, whatsminers=1),
    }


def at_once(work: Callable[[], None]) -> int | None:
    """By ``os._exit``."""
    return _of(work, lambda: os._exit(0))


def in_order(work: Callable[[], None]) -> int | None:
    """By the interpreter's own end, with all that it has of its parent."""
    return _of(work, lambda: sys.exit(0))


def _of(work: Callable[[], None], ends: Callable[[], Any]) -> int | None:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as e:
            say(violation=f"forked: {told(e)}")
        ends()
    late = time.monotonic() + WITHIN_S
    while time.monotonic() < late:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    # It says where it hangs.
    os.kill(pid, signal.SIGABRT)
    os.waitpid(pid, 0)
    return None


def by_multiprocessing(work: Callable[[], None]) -> int | None:
    """As ``multiprocessing`` forks."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(WITHIN_S)
    if process.exitcode is None:
        process.kill()
    return process.exitcode


