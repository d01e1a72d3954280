"""Calls from one event loop, and from many threads at once: with event loops of their own, and without."""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headframe
from headframe import sync

from trust.account import Account, Torn, say, told
from trust.calls import end, end_now, hostile, hostile_now
from trust.world import Pick, World, leave, plainly, random, read, readers, world

FOR_EVER = 10**9


def folder(name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir="."))


def calls(seed: int, count: int) -> None:
    """Random calls, with readers beside them, and the end of everything in the middle of calls."""
    asyncio.run(_calls(seed, count)).tell()


async def _calls(seed: int, count: int) -> Account:
    pick, account = random(seed), Account()
    of = await world(pick, folder("calls"), headframe)
    streams = await readers(of)
    reading = [asyncio.ensure_future(_reads(account, stream)) for stream in streams]
    await hostile(account, of, pick, count)
    # Half of the readers are ended by themselves, half by what they read.
    if pick(2):
        for stream in streams:
            await leave(stream)
    await end(account, of)
    for stream in streams:
        await leave(stream)
    await asyncio.gather(*reading)
    return account


async def _reads(account: Account, stream: Any) -> None:
    # It reads for as long as the calls go on, which no call may take: who ends it is told of no error.
    try:
        await read(stream)
    except headframe.HeadframeError as e:
        account.fault(f"reader: {told(e)}")


def threads(seed: int, count: int) -> None:
    """Threads that call the same handles at once; some end by themselves, some are torn or leave in the middle."""
    pick = random(seed)
    of = plainly(world(pick, folder("threads"), sync))
    loops = of.through(headframe)
    share = count // 4 + 1
    whole = [
        *(Worker(lambda account, pick: hostile_now(account, of, pick, share), pick) for _ in range(2)),
        *(Worker(lambda account, pick: asyncio.run(hostile(account, loops, pick, share)), pick) for _ in range(2)),
    ]
    for _ in range(2):
        _torn(Worker(lambda account, pick: hostile_now(account, of, pick, FOR_EVER), pick, Torn), pick)
    Worker(lambda account, pick: asyncio.run(_leaves(account, loops, pick)), pick, asyncio.CancelledError).join()
    for worker in whole:
        worker.join()
    say(probe="called from threads")
    say(probe="called from several event loops")
    _elsewhere()
    account = Account()
    end_now(account, of)
    account.tell("after threads, ")
    # The first thread is none the worse for it.
    calls(pick(2**32), 20)


class Worker:
    """A thread with what its calls come to."""

    def __init__(self, work: Callable[[Account, Pick], None], pick: Pick, *ends: type[BaseException]) -> None:
        self.account = Account(*ends)
        self._work = work
        self._pick = random(pick(2**32))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work(self.account, self._pick)
        except Torn:
            pass
        except BaseException as e:
            self.account.fault(f"the thread ended with {told(e)}")

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def tear(self) -> bool:
        """Raises in it what ends it; whether it lived."""
        if not self.is_alive():
            return False
        id = self._thread.ident or 0
        before = sys.getswitchinterval()
        # Nothing moves between the look and the deed.
        sys.setswitchinterval(10)
        starts = _starts(sys._current_frames().get(id))
        if not starts:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(id), ctypes.py_object(Torn))
        sys.setswitchinterval(before)
        self._thread.join(0.001 if starts else 0.5)
        return True

    def join(self) -> None:
        """Waits for its end, and says what it came to."""
        self._thread.join()
        self.account.forget()
        self.account.tell("thread, ")


def _starts(frame: types.FrameType | None) -> bool:
    """Whether it starts another thread: Python would tear that one instead, and wait for it for ever."""
    while frame is not None and frame.f_code is not threading.Thread.start.__code__:
        frame = frame.f_back
    return frame is not None


def _torn(worker: Worker, pick: Pick) -> None:
    # It has begun, and goes on for long.
    most = 1 + pick(60)
    while worker.account.begun < most and worker.is_alive():
        time.sleep(0.001)
    if worker.account.is_in_the_middle:
        say(probe="a thread was torn in the middle of calls")
    # A destructor swallows what it is torn by.
    while worker.tear():
        pass
    worker.join()


async def _leaves(account: Account, of: World, pick: Pick) -> None:
    """An event loop that ends in the middle of its calls."""
    under_way = asyncio.ensure_future(hostile(account, of, pick, FOR_EVER))
    await asyncio.sleep(0.05 + pick(300) / 1_000)
    if account.is_in_the_middle and not under_way.done():
        say(probe="a thread left in the middle of calls")


def _elsewhere() -> None:
    """Another interpreter in the process does not get the package, and does no harm."""
    try:
        interpreters = importlib.import_module("_xxsubinterpreters")
    except ImportError:
        return
    other = interpreters.create()
    try:
        interpreters.run_string(other, "import headframe")
        say(violation="a second interpreter has the package")
    except Exception:
        pass
    interpreters.destroy(other)
