"""Drivers that are written in Python."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import json
import threading
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from . import _headframe as native
from ._asked import because, items, rows, text, written
from ._errors import BadReply, HeadframeError, NotFound, RateLimited, Unsupported, invalid

Answer = Callable[[str], bool]
"""Takes an answer, and says whether somebody waited for it. When it is let go of, whoever waits is told that there is none."""
Tasks = dict[asyncio.Task[str], "Answer | None"]
UNSPEAKABLE = "the driver raised what cannot be told"


class Driver(Protocol):
    """A driver of one's own: a class, or any object with these members. ``id`` is what racks and things name it by.

    ``open(opts)`` gives a thing, which has ``snapshot()`` and, to be written to, ``capability``, ``observe(action)`` and
    ``execute(action, params)``; ``close()`` ends it. All may be coroutines. What a thing does not answer before the deadline of its
    poll costs that poll, and nothing else. It raises what went wrong; a HeadframeError says with its class and ``sent`` what to do
    about it. An option that it cannot use is ``Invalid(why, context={"field": name})``.

    It may say more of itself: ``kind`` of its things (``"miner"``), ``make``, ``docs`` (a page for its users, Markdown), and ``probes``,
    by which its devices are found. Each probe is a mapping: ``get`` (path of a page) or ``command`` (of the cgminer-style API), and
    ``says``, a text that stands in the reply of its devices, whatever the case. With ``at``, a JSON pointer such as
    ``/VERSION/0/Type``, or ``realm`` or ``location`` of a page, the text has to stand at the beginning there. One probe that fits is
    enough; a word of ``not``, in any reply, is another's device. ``model``, ``firmware`` and ``mac`` are JSON pointers to what the
    device tells of itself. ``stock`` is False for a firmware that stands in for the maker's own; ``port`` names another port than
    the usual one, ``web`` or ``rpc``: ``side`` or ``v3``. What is found has ``address`` in its options, and ``port`` where that is
    not the usual one; of further kinds of ports ``rpc_port`` and the like.
    """

    id: str

    def open(self, opts: dict[str, Any]) -> Any: ...


Drivers = Iterable[Driver | type[Any]]
"""Drivers of one's own. A class may be one itself; of that no type checker can tell, as members of classes may be their objects'."""


def registry(drivers: Drivers | None) -> native.NativeDrivers:
    """The library's drivers, and those of one's own."""
    everything = native.NativeDrivers()
    for driver in () if drivers is None else items("drivers", drivers):
        about = _about(driver)
        everything.add(written("drivers", about), _Driven(driver).ask)
    return everything


def _about(driver: Driver | type[Any]) -> dict[str, Any]:
    """What a driver says of itself."""
    try:
        name, can_open = getattr(driver, "id", None), callable(getattr(driver, "open", None))
        kind, make = getattr(driver, "kind", "miner"), getattr(driver, "make", name)
        docs, probes = getattr(driver, "docs", ""), getattr(driver, "probes", ())
    except Exception as e:
        raise because("drivers", e) from e
    if not can_open:
        raise invalid("drivers", "takes drivers, each with an id and open()")
    texts = {"id": name, "kind": kind, "make": make, "docs": docs}
    told = {member: text(member, value) for member, value in texts.items()}
    return {**told, "probes": rows("probes", probes)}


def _own_loop(served: Served, tasks: Tasks) -> asyncio.AbstractEventLoop:
    """An event loop in a thread of its own, for as long as something is served."""
    begun: concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = concurrent.futures.Future()

    async def live() -> None:
        ended = asyncio.Event()
        begun.set_result((asyncio.get_running_loop(), ended))
        await ended.wait()

    def run() -> None:
        try:
            asyncio.run(live())
        except Exception as e:
            if begun.done():
                raise
            begun.set_exception(e)
        finally:
            # What began while it ended never goes on. Whose answer is let go of is told so.
            tasks.clear()

    try:
        threading.Thread(target=run, name="headframe-drivers", daemon=True).start()
    except RuntimeError as e:
        raise RateLimited(f"drivers need a thread: {e}", code="ERR_NO_THREADS") from e
    loop, ended = begun.result()
    # Sites end in order with the interpreter, and close their things then.
    weakref.finalize(served, _end, loop, ended).atexit = False
    return loop


def _end(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    # The driver may have ended it.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(ended.set)


class _Asked:
    """A question under way."""

    def __init__(self, served: Served, op: str) -> None:
        self.op = op
        self._served = served
        self._task: asyncio.Task[str] | None = None
        self._is_taken_back = False

    def begin(self, thing: int, question: str, answer: Answer) -> None:
        if not self._is_taken_back:
            self._task = self._served.begin(self.op, thing, question, answer)

    def take_back(self) -> None:
        """Nobody waits for the answer any more, says any thread."""
        self._is_taken_back = True
        self._served.soon(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


class Served:
    """What is asked from any thread, and answers on an event loop: the one that runs here, or one of its own."""

    def __init__(self) -> None:
        self._tasks: Tasks = {}
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = _own_loop(self, self._tasks)

    def ask(self, op: str, thing: int, question: str, answer: Answer) -> Callable[[], None]:
        """Asks it, from any thread; gives what takes the question back."""
        asked = _Asked(self, op)
        self._loop.call_soon_threadsafe(asked.begin, thing, question, answer)
        return asked.take_back

    def begin(self, op: str, thing: int, question: str, answer: Answer | None = None) -> asyncio.Task[str]:
        task = self._loop.create_task(self._answered(op, thing, question))
        # Nobody else holds the answer: a task that never goes on may be there until it is collected.
        self._tasks[task] = answer
        task.add_done_callback(lambda done: self._tell(op, done))
        return task

    def _tell(self, op: str, done: asyncio.Task[str]) -> None:
        answer = self._tasks.pop(done, None)
        # What is cancelled has no answer.
        if answer is None or done.cancelled() or done.exception() is not None:
            return
        told = done.result()
        if not answer(told):
            self.unheard(op, told)

    def soon(self, work: Callable[[], object]) -> None:
        # Nothing is under way on a loop that has ended.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(work)

    async def _answered(self, op: str, thing: int, question: str) -> str:
        try:
            return json.dumps({"ok": await self.answer(op, thing, json.loads(question))}, allow_nan=False)
        except Exception as e:
            return json.dumps({"error": self.refuse(op, e)})

    @abstractmethod
    async def answer(self, op: str, at: int, question: Any) -> Any:
        """What it answers."""

    def refuse(self, op: str, e: Exception) -> dict[str, str]:
        """What it says when that fails."""
        return _told(op, e)

    def unheard(self, op: str, told: str) -> None:
        """Nobody waited for an answer any more."""


class _Driven(Served):
    def __init__(self, driver: Driver | type[Any]) -> None:
        super().__init__()
        self._driver = driver
        self._things: dict[int, Any] = {}
        self._last = 0

    def unheard(self, op: str, told: str) -> None:
        opened = json.loads(told).get("ok") if op == "open" else None
        if opened is not None:
            # Nobody will ask it.
            self.begin("close", opened["thing"], "null")

    async def answer(self, op: str, at: int, question: Any) -> Any:
        if op == "open":
            thing = await awaited(self._driver.open(question["opts"]))
            if thing is None:
                raise BadReply("the driver opened nothing")
            self._last += 1
            self._things[self._last] = thing
            return {"thing": self._last, "capability": getattr(thing, "capability", None)}
        thing = self._things.get(at)
        if thing is None:
            raise NotFound("the thing was closed", code="ERR_CLOSED")
        if op == "close":
            del self._things[at]
        method = getattr(thing, op, None)
        if method is None:
            if op == "close":
                return None
            raise Unsupported(f"the driver has no {op}")
        if op == "snapshot":
            return await awaited(method())
        if op == "observe":
            return await awaited(method(question))
        if op == "execute":
            return await awaited(method(question["action"], question["params"])) or {}
        await awaited(method())
        return None


async def awaited(value: Any) -> Any:
    """What it is, or what it gives once it was waited for."""
    return await value if inspect.isawaitable(value) else value


def _told(op: str, e: Exception) -> dict[str, str]:
    # Of a write that failed in a way that the driver does not tell nobody knows whether the device has it.
    sent = "maybe" if op == "execute" else "no"
    try:
        return _said(e, sent)
    except Exception:
        return {"kind": "BadReply", "code": "", "message": UNSPEAKABLE, "sent": sent}


def _said(e: Exception, sent: str) -> dict[str, str]:
    if isinstance(e, HeadframeError):
        said = _text(e.sent)
        return {
            "kind": _text(e.kind),
            "code": _text(e.code),
            "message": _text(e),
            "sent": said if said in ("no", "maybe") else sent,
            "field": _field(e),
        }
    kind = "Unreachable" if isinstance(e, OSError) else "BadReply"
    # They are two before Python 3.11.
    if isinstance(e, (TimeoutError, asyncio.TimeoutError)):
        kind = "Timeout"
    name = type(e).__name__
    return {"kind": kind, "code": _text(name), "message": _text(e) or _text(name), "sent": sent}


def _field(e: HeadframeError) -> str:
    """The option that is wrong, when it says so."""
    try:
        return _text(e.context.get("field", ""))
    except Exception:
        # Whoever raised it put something else there.
        return ""


def _text(value: object) -> str:
    """Whatever it is, as a text that JSON has."""
    try:
        return str(value).encode("utf-8", "replace").decode()
    except Exception:
        return UNSPEAKABLE
