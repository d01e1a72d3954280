"""How a process ends with everything open: in the middle of all calls, or when the program has nothing more to do."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headframe
from headframe import sync

from trust.account import Account, say, told
from trust.calls import hostile, hostile_now
from trust.collected import Dying, uses
from trust.late import LATE
from trust.world import PORTS, Pick, World, closing, given, leave, plainly, random, read, readers, world

WITHIN_S = 60
"""How long a process may take, that ends."""
KEPT: list[Any] = []
"""What lives until the interpreter ends."""


def kept(seed: int, face: Any = sync, snapshot: str = "") -> World:
    """Everything, for as long as the process lives."""
    of = plainly(world(random(seed), Path(tempfile.mkdtemp(prefix="end-", dir=".")), face, snapshot))
    KEPT.append(of)
    return of


def busy(of: World, pick: Pick, count: int = 3) -> list[Account]:
    """Threads that call for ever, and some that read; gives what those come to that call."""
    accounts = [Account() for _ in range(count)]
    for n, account in enumerate(accounts):
        seed = pick(2**32)
        calls: Callable[[], Any] = lambda account=account, seed=seed: hostile_now(account, of, random(seed), 10**9)  # type: ignore[misc]
        if n % 2:
            there = of.through(headframe)
            calls = lambda account=account, seed=seed: asyncio.run(hostile(account, there, random(seed), 10**9))  # type: ignore[misc]
        threading.Thread(target=calls, daemon=True).start()
    for stream in plainly(readers(of)):
        threading.Thread(target=plainly, args=(read(stream),), daemon=True).start()
    return accounts


def leaves(accounts: list[Account]) -> None:
    """Says how it goes from here."""
    for account in accounts:
        account.tell()
    middle = any(account.is_in_the_middle for account in accounts)
    say(probe="left in the middle of calls" if middle else "left")


def end(seed: int) -> None:
    """The program has no more to do, and its threads do not care."""
    pick = random(seed)
    of = kept(seed)
    accounts = busy(of, pick)
    KEPT.append(Dying(uses(Account(), of)))
    time.sleep(pick(800) / 1_000)
    leaves(accounts)


def exits(seed: int) -> None:
    """An event loop ends by ``sys.exit`` in the middle of its own calls, and of those of threads."""
    pick, account = random(seed), Account(asyncio.CancelledError)

    async def main() -> None:
        of = await world(pick, Path(tempfile.mkdtemp(prefix="end-", dir=".")), headframe)
        KEPT.append(of)
        there = busy(of.through(sync), pick)
        loop = asyncio.get_running_loop()

        def ends() -> None:
            leaves([account, *there])
            sys.exit(0)

        loop.call_later(pick(800) / 1_000, ends)
        await hostile(account, of, pick, 10**9)

    asyncio.run(main())


def at_once(seed: int) -> None:
    """Another thread ends the process."""
    pick, account = random(seed), Account()
    of = kept(seed)
    accounts = busy(of, pick)

    def ends() -> None:
        leaves(accounts)
        os._exit(0)

    threading.Timer(pick(800) / 1_000, ends).start()
    hostile_now(account, of, pick, 10**9)


def signalled(seed: int) -> None:
    """The handler of a signal ends it, in the middle of a call that waits."""
    pick, account = random(seed), Account(SystemExit)
    of = kept(seed)
    accounts = busy(of, pick)

    def handler(*_: Any) -> None:
        leaves([account, *accounts])
        sys.exit(0)

    signal.signal(signal.SIGALRM, handler)
    # A destructor swallows it.
    signal.setitimer(signal.ITIMER_REAL, 0.2 + pick(800) / 1_000, 3)
    hostile_now(account, of, pick, 10**9)


def hangs(seed: int) -> None:
    """Drivers hang, each with its event loop, and threads wait for them."""
    of = kept(seed, snapshot="sleeps")
    for _ in range(3):
        threading.Thread(target=of.odd.snapshot, daemon=True).start()
        threading.Thread(target=asyncio.run, args=(of.through(headframe).odd.snapshot(),), daemon=True).start()
    time.sleep(0.5)
    leaves([])


def handlers(seed: int) -> None:
    """The program has handlers of its own for the end, which still use everything: before the package's, and after."""
    pick = random(seed)
    of = kept(seed)
    busy(of, pick)

    def uses_all(when: str) -> None:
        account = Account()
        plainly(_all(account, of))
        asyncio.run(_all(account, of.through(headframe)))
        account.tell(f"{when} the end, ")

    atexit.register(uses_all, "before")
    LATE.append(lambda: uses_all("after"))


async def _all(account: Account, of: World) -> None:
    face = of.face
    calls: list[Callable[[], Any]] = [
        of.site.list,
        of.site.counts,
        lambda: of.device.snapshot(within_ms=300),
        lambda: of.odd.snapshot(within_ms=300),
        of.site.subscribe,
        of.simulator.devices,
        lambda: read(face.discover(of.address, ports=PORTS, deadline_ms=300), 1),
        lambda: face.open_device("whatsminer", of.opts),
        lambda: face.open_device("odd", {"address": "127.0.0.1"}, drivers=[of.driver]),
        lambda: face.Site.open(of.folder / "other", {}, how="openOrCreate"),
        closing(of.site),
    ]
    for call in calls:
        with account.call("a call"):
            await given(call())


ENDS: dict[str, Callable[[int], None]] = {
    "end": end,
    "exits": exits,
    "at-once": at_once,
    "signalled": signalled,
    "hangs": hangs,
    "handlers": handlers,
}


def left(seed: int, _: int) -> None:
    """Ends in each way, in a process of its own."""
    for how in ENDS:
        command = [sys.executable, "-X", "faulthandler", "-m", "trust.main", f"left-{how}", str(seed), "0"]
        began = time.monotonic()
        try:
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", timeout=WITHIN_S, check=False)
        except subprocess.TimeoutExpired as e:
            say(violation=f"{how}: did not end: {e.stderr!r}"[-2_000:])
            continue
        sys.stderr.write(done.stderr)
        if done.returncode != 0:
            say(violation=f"{how}: ended with {done.returncode} after {time.monotonic() - began:.1f} s: {done.stderr[-2_000:]}")


def drained(seed: int, _: int) -> None:
    """A program that has nothing more to do, with everything open, and an event loop that is gone."""
    pick, account = random(seed), Account()

    async def uses_some() -> World:
        of = await world(pick, Path(tempfile.mkdtemp(prefix="drain-", dir=".")), headframe)
        reading = [asyncio.ensure_future(read(stream, 1)) for stream in await readers(of)]
        await asyncio.gather(of.site.list(), of.device.snapshot(), *reading[:1])
        # Readers that nobody reads hold nothing back, nor does a driver that is asked all the time.
        KEPT.extend((of, of.site.subscribe(), of.site.actions.watch(), *reading))
        return of

    async def uses_on(of: World) -> None:
        """The loop of its drivers is gone."""
        for _ in range(2):
            with account.call("on another loop", of.odd.snapshot):
                await of.odd.snapshot(within_ms=500)
            with account.call("on another loop", of.device.snapshot):
                await of.device.snapshot()
        scan = of.face.discover(of.address, ports=PORTS)
        await read(scan, 1)
        await leave(scan)

    of = asyncio.run(uses_some())
    try:
        asyncio.run(uses_on(of))
    except Exception as e:
        account.fault(told(e))
    account.tell()
    say(probe="left with handles open")
