"""Ctrl-C in the middle of calls: of a scan, of anything, of an event loop; and handlers of signals that call themselves."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headframe
from headframe import sync

from trust.account import Account, say
from trust.calls import end_now, hostile, hostile_now
from trust.collected import uses
from trust.world import Pick, World, plainly, random, read, world

AGAIN_S = 3
"""After so long an interrupt is repeated that a destructor swallowed."""


def interrupted(seed: int, count: int) -> None:
    """Each way some times, and all goes on."""
    pick = random(seed)
    of = plainly(world(pick, Path(tempfile.mkdtemp(prefix="interrupts-", dir=".")), sync))
    of.simulator.fault(1, {"kind": "hang"})
    for way in (_scans, _waits, _anything, _loop) * 2:
        account = Account(KeyboardInterrupt, asyncio.CancelledError)
        _until_interrupted(0.05 + pick(500) / 1_000, lambda: way(account, of, pick))
        if account.is_in_the_middle:
            say(probe="interrupted in the middle of calls")
        account.forget()
        account.tell(f"interrupted, {way.__name__}, ")
    account = Account()
    _in_handlers(account, of, pick, count)
    hostile_now(account, of, pick, 20)
    end_now(account, of)
    account.tell()


def _until_interrupted(after: float, work: Callable[[], None]) -> None:
    """Work that goes on for ever, until the interrupt comes."""
    came = threading.Event()

    def interrupts() -> None:
        came.wait(after)
        while not came.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            came.wait(AGAIN_S)

    sender = threading.Thread(target=interrupts)
    sender.start()
    try:
        while True:
            work()
    except KeyboardInterrupt:
        came.set()
    sender.join()


# What an interrupt ends has no end of its own, and is begun without one.
def _begun(account: Account, call: Callable[[], Any]) -> None:
    account.begun += 1
    call()
    account.ended += 1


def _scans(account: Account, of: World, _: Pick) -> None:
    around = of.address.rsplit(".", 1)[0]
    _begun(account, lambda: plainly(read(sync.discover(f"{around}.0/24", ports={"simulated": True}, concurrency=2))))


def _waits(account: Account, of: World, _: Pick) -> None:
    _begun(account, lambda: plainly(read(of.site.actions.watch())))


def _anything(account: Account, of: World, pick: Pick) -> None:
    hostile_now(account, of, pick, 50)


def _loop(account: Account, of: World, pick: Pick) -> None:
    _begun(account, lambda: asyncio.run(hostile(account, of.through(headframe), pick, 10**9)))


def _in_handlers(account: Account, of: World, pick: Pick, count: int) -> None:
    """Signals all the time, whose handler calls what is being called."""
    calls = uses(account, of)
    depth = 0

    def handler(*_: Any) -> None:
        nonlocal depth
        if depth == 0:
            depth += 1
            calls()
            depth -= 1

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        hostile_now(account, of, pick, count // 10)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    account.reached.add("called by the handler of a signal")
