"""What tests of the package have in common."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import headframe

T = TypeVar("T")

WITHIN = 60
"""What takes longer, in seconds, hangs."""
RIGHTS = ["miner:rw", "actions:rw"]
ANN: dict[str, Any] = {"user": "ann@site", "permissions": RIGHTS}
PEOPLE = {"ann@site": RIGHTS, "bob@site": RIGHTS}
TWO_VOTES = {"profile": "safe", "default": {"votes_for": 2, "own_vote": True}}
SIMULATED = {"simulated": True}
RACK = "miner-wm-m50s-hall"
ENDED = ("COMPLETED", "PARTIAL", "FAILED", "DENIED", "CANCELLED", "EXPIRED")


class AsyncCase(unittest.IsolatedAsyncioTestCase):
    """Tests for asyncio, each with its time."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, test in list(vars(cls).items()):
            if name.startswith("test_"):
                setattr(cls, name, _bounded(test))

    def folder(self) -> Path:
        """One that goes away with the test."""
        return folder(self)

    async def simulated(self, base: str, *, whatsminers: int = 1, seed: int = 1, **more: Any) -> headframe.Simulator:
        """Simulated devices that end with the test."""
        start = headframe.Simulator.start
        simulator = await start(base=base, whatsminers=whatsminers, seed=seed, **more)
        self.addAsyncCleanup(simulator.aclose)
        return simulator

    async def site(self, conf: Mapping[str, Any] | None = None, **how: Any) -> headframe.Site:
        """A new site that ends with the test."""
        site = await headframe.Site.open(self.folder() / "site", conf or {}, how="create", **how)
        self.addAsyncCleanup(site.aclose)
        return site

    async def polled(self, simulator: headframe.Simulator, **more: Any) -> headframe.Site:
        """A new site that polls simulated devices, m-0 and so on."""
        site = await self.site(conf(**more))
        made = await site.register(RACK, drafts(simulator.devices()), "ann@site")
        self.assertEqual([list(one) for one in made], [["thing"]] * len(made), made)
        return site


def _bounded(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def bounded(self: Any) -> None:
        await asyncio.wait_for(test(self), WITHIN)

    return bounded


def folder(test: unittest.TestCase) -> Path:
    """A folder that goes away with the test."""
    made = tempfile.TemporaryDirectory(prefix="headframe-python-")
    test.addCleanup(made.cleanup)
    return Path(made.name)


def conf(interval_ms: int = 200, **more: Any) -> dict[str, Any]:
    """A site with one rack of Whatsminers."""
    rack = {"type": "miner-wm-m50s", "name": "hall", "driver": "whatsminer", "intervalMs": interval_ms}
    return {"racks": [rack], "people": PEOPLE, **more}


def opts(device: Mapping[str, Any]) -> dict[str, Any]:
    """What a simulated Whatsminer is opened with."""
    return {"address": device["address"], "port": device["ports"]["rpc"], "password": "admin"}


def drafts(devices: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Simulated Whatsminers as they are registered."""
    return [{"id": f"m-{at}", "opts": opts(device)} for at, device in enumerate(devices)]


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    return deep


def cyclic() -> dict[str, Any]:
    """A dict that has itself."""
    ring: dict[str, Any] = {}
    ring["ring"] = [ring]
    return ring


async def readings(site: headframe.Site, enough: Callable[[list[headframe.Reading]], bool]) -> list[headframe.Reading]:
    """Readings from now on, until they are enough."""
    seen: list[headframe.Reading] = []
    async with site.subscribe() as stream:
        async for batch in stream:
            seen.extend(batch)
            if enough(seen):
                return seen
    raise AssertionError("the site ended")


async def some(site: headframe.Site, count: int) -> list[headframe.Reading]:
    """So many readings."""
    return await readings(site, lambda seen: len(seen) >= count)


async def settled(site: headframe.Site, id: int) -> dict[str, Any]:
    """An action once it has ended."""
    return await until(lambda: site.actions.get(id), lambda view: view is not None and view["status"] in ENDED) or {}


async def until(look: Callable[[], Awaitable[T]], good: Callable[[T], bool], within: float = WITHIN) -> T:
    """What is seen once it is good."""
    late = time.monotonic() + within
    while not good(seen := await look()):
        if time.monotonic() > late:
            raise AssertionError(f"it stays {seen!r}")
        await asyncio.sleep(0.02)
    return seen


def now(look: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    """Something that answers at once, to be waited for all the same."""

    async def looked() -> T:
        return look()

    return looked


def program(name: str, *args: object, within: float = 20) -> subprocess.CompletedProcess[str]:
    """Runs one of ``programs/`` in a process of its own."""
    command = [sys.executable, "-X", "faulthandler", "-m", f"tests.programs.{name}", *map(str, args)]
    root = Path(__file__).resolve().parents[1]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=within, check=False)
