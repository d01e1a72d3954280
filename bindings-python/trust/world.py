"""What hostile calls are made on: a site, devices and simulators, open ones and closed ones."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import itertools
import os
import time
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import headframe
from headframe import HeadframeError, sync

from trust.values import Fails, Unspeakable, cyclic, deep

T = TypeVar("T")
Pick = Callable[[int], int]
Face = Any
"""One of the two packages: ``headframe`` or ``headframe.sync``. They have the same names."""

ANN, BOB = "ann@site", "bob@site"
"""Someone who may do everything, and another one for the second vote."""
RIGHTS = ["miner:rw", "actions:rw", "container:rw", "inventory:rw"]
WITHIN_MS = 1_500
"""How long a device has for what is asked of it."""
PORTS = {"simulated": True}
SAID = {"success": True, "stats": {"status": "mining", "power_w": 1}}
_RACKS = [
    {"type": "miner-wm", "name": "a", "driver": "whatsminer", "intervalMs": 300, "deadlineMs": 250},
    {"type": "miner-odd", "name": "b", "driver": "odd", "intervalMs": 300, "deadlineMs": 250, "allowDuplicateIps": True},
]
_PLACES = itertools.count()


def random(seed: int) -> Pick:
    """Numbers that a seed gives: the next one below ``most``."""
    state, mask = seed, 2**64 - 1

    def pick(most: int) -> int:
        nonlocal state
        state = (state + 0x9E37_79B9_7F4A_7C15) & mask
        mixed = ((state ^ (state >> 30)) * 0xBF58_476D_1CE4_E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D0_49BB_1331_11EB) & mask
        return ((mixed ^ (mixed >> 31)) & 0xFFFF_FFFF) % most

    return pick


async def given(told: Any) -> Any:
    """What a call of either package gives."""
    return await told if inspect.isawaitable(told) else told


def plainly(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that waits for nothing: one over the synchronous package."""
    try:
        work.send(None)
    except StopIteration as done:
        told: T = done.value
        return told
    work.close()
    raise AssertionError("it waits")


def closing(handle: Any) -> Callable[..., Any]:
    """How it is closed, in either package."""
    close: Callable[..., Any] = getattr(handle, "aclose", None) or handle.close
    return close


class Odd:
    """A driver that keeps to nothing: it raises, hangs, calls back, and answers what nobody asked."""

    id = "odd"

    def __init__(self) -> None:
        self.site: Callable[[], Any] = lambda: None
        """Where it calls back. It must not keep its site alive."""
        self.is_ending = False
        """Whether that is about to be closed."""
        self._asked = itertools.count()

    async def open(self, opts: dict[str, Any]) -> OddThing:
        return OddThing(self, opts)

    def answer(self) -> Any:
        return _ANSWERS[next(self._asked) % len(_ANSWERS)](self)


class OddThing:
    def __init__(self, driver: Odd, opts: dict[str, Any]) -> None:
        self._driver = driver
        if opts.get("odd"):
            self.capability = {"commands": "none"}
        told: Callable[[Odd], Any] | None = _SNAPSHOTS.get(opts.get("snapshot", ""))
        self._snapshot = told or Odd.answer

    def snapshot(self) -> Any:
        return self._snapshot(self._driver)

    async def observe(self, action: str) -> Any:
        return await given(self._driver.answer())

    def execute(self, action: str, params: list[Any]) -> Any:
        return self._driver.answer()

    def close(self) -> Any:
        return self._driver.answer()


class Unreadable(HeadframeError):
    """An error of ours that cannot be read."""

    @property
    def kind(self) -> str:  # type: ignore[override]
        raise Unspeakable


def _raises(error: Callable[[], BaseException]) -> Callable[[Odd], Any]:
    def raised(_: Odd) -> Any:
        raise error()

    return raised


async def _never(_: Odd) -> Any:
    await asyncio.Event().wait()


async def _of_another_loop(_: Odd) -> Any:
    loop = asyncio.new_event_loop()
    try:
        return await loop.create_future()
    finally:
        loop.close()


def _blocks(_: Odd) -> Any:
    time.sleep(0.1)
    return SAID


def _calls_back(driver: Odd) -> Any:
    """Its own site, which answers while it is asked."""
    site = driver.site()
    if site is not None:
        again = sync.Site(site._native)
        again.list()
        again.counts()
    return SAID


_ANSWERS: tuple[Callable[[Odd], Any], ...] = (
    _never, _raises(lambda: headframe.Unreachable("not now")), _raises(Unspeakable), lambda _: "x" * (5 << 20), lambda _: SAID,
    lambda _: None, lambda _: 10**5_000, lambda _: Fails(), lambda _: [], lambda _: cyclic(), lambda _: deep(), _blocks, _calls_back,
    lambda _: {"success": True, "stats": {"power_w": float("nan")}}, lambda _: {"success": True, "stats": {"status": "\ud800"}},
    _raises(asyncio.CancelledError), _raises(StopIteration), _raises(lambda: Unreadable("x")), _of_another_loop,
)
_SNAPSHOTS: dict[str, Callable[[Odd], Any]] = {
    "hangs": _never,
    "plain": lambda _: SAID,
    # Its event loop is gone then, where it has one of its own.
    "quits": _raises(SystemExit),
    "sleeps": lambda _: time.sleep(100_000),
}


@dataclasses.dataclass
class World:
    """Everything that calls are made on, in a folder. ``quits`` is a device whose driver ends its own event loop."""

    face: Face
    folder: Path
    conf: dict[str, Any]
    driver: Odd
    site: Any
    closed: Any
    simulator: Any
    gone: Any
    device: Any
    shut: Any
    odd: Any
    hung: Any
    plain: Any
    quits: Any
    address: str
    opts: dict[str, Any]

    def through(self, face: Face) -> World:
        """The same handles through another package."""
        kinds = {"site": face.Site, "closed": face.Site, "simulator": face.Simulator, "gone": face.Simulator}
        kinds |= dict.fromkeys(("device", "shut", "odd", "hung", "plain"), face.Device)
        there = {name: kind(getattr(self, name)._native) for name, kind in kinds.items()}
        return dataclasses.replace(self, face=face, quits=None, **there)


async def simulated(face: Face, **conf: Any) -> Any:
    """Simulated devices on addresses that nobody else has."""
    for tries in itertools.count():
        at = next(_PLACES)
        base = f"127.109.{(os.getpid() + at // 60) % 250}.{at % 60 * 4 + 1}"
        try:
            return await given(face.Simulator.start(base=base, **conf))
        except HeadframeError:
            if tries == 64:
                raise


async def world(pick: Pick, folder: Path, face: Face, snapshot: str = "") -> World:
    """Makes everything; ``snapshot`` is what all things of the odd driver do."""
    conf = {"racks": _RACKS, "people": {ANN: RIGHTS, BOB: RIGHTS}}
    driver = Odd()
    drivers = [driver]
    site = await given(face.Site.open(folder / "site", conf, how="create", drivers=drivers))
    closed = await given(face.Site.open(folder / "closed", {}, how="create"))
    simulator = await simulated(face, seed=pick(1_000), whatsminers=1, antminers=1)
    gone = await simulated(face, whatsminers=1)
    first = simulator.devices()[0]
    opts = {"address": first["address"], "port": first["ports"]["rpc"], "password": "admin"}

    async def odd(**more: Any) -> Any:
        return await given(face.open_device("odd", {"address": "127.0.0.1", **more}, drivers=drivers))

    device, shut = [await given(face.open_device("whatsminer", opts)) for _ in range(2)]
    things = [{"id": id, "opts": {"address": "127.0.0.1", "snapshot": snapshot}, "info": {}} for id in ("x", "y")]
    await given(site.register("miner-wm-a", [{"id": "m", "opts": opts, "info": {}}], ANN))
    await given(site.register("miner-odd-b", things, ANN))
    made = {name: await odd(snapshot=does) for name, does in (("odd", snapshot), ("hung", "hangs"), ("plain", "plain"))}
    # On the event loop of the program it would end the program.
    quits = await odd(snapshot="quits") if face is sync else None
    for handle in (closed, gone, shut):
        await given(closing(handle)())
    driver.site = weakref.ref(site)
    return World(
        face, folder, conf, driver, site, closed, simulator, gone, device, shut, **made, quits=quits, address=first["address"], opts=opts
    )


async def readers(of: World) -> list[Any]:
    """What is read along: readings, changes of actions, a scan."""
    around = of.address.rsplit(".", 1)[0]
    return [
        of.site.subscribe(capacity=8, most=2),
        of.site.actions.watch(),
        of.face.discover(f"{around}.0/22", ports=PORTS, concurrency=4),
    ]


async def read(stream: Any, most: int | None = None) -> None:
    """Reads on and on, or so many, and leaves it."""
    seen = 0
    if hasattr(stream, "__aiter__"):
        async for _ in stream:
            seen += 1
            if seen == most:
                break
        return
    for _ in stream:
        seen += 1
        if seen == most:
            break


async def leave(stream: Any) -> None:
    """Ends it, from wherever."""
    if hasattr(stream, "stop"):
        stream.stop()
    else:
        await given(closing(stream)())
