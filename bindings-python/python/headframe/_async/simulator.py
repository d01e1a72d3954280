from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from .. import _headframe as native
from .._asked import folder, members, optional_text, whole


class Simulator:
    """Simulated devices on real sockets of the loopback interface, for tests."""

    def __init__(self, simulator: native.NativeSimulator) -> None:
        self._native = simulator

    @staticmethod
    async def start(
        *,
        whatsminers: int = 0,
        antminers: int = 0,
        base: str | None = None,
        by_port: int | None = None,
        cold: bool = False,
        seed: int | None = None,
    ) -> Simulator:
        """Starts devices: one address each from ``base`` (127.20.0.1), or all on one address, on
        the ports from ``by_port``."""
        conf: dict[str, Any] = {"whatsminers": whatsminers, "antminers": antminers, "cold": cold}
        more = (("base", base), ("byPort", by_port), ("seed", seed))
        conf.update({name: told for name, told in more if told is not None})
        return Simulator(await native.start_simulator(members("conf", conf)))

    def devices(self) -> list[dict[str, Any]]:
        """All devices, each with its ``address`` and ``ports``."""
        told: list[dict[str, Any]] = self._native.devices()
        return told

    def truth(self, index: int) -> dict[str, Any]:
        """What is really so with a device, and what it was told to do."""
        told: dict[str, Any] = self._native.truth(whole("index", index))
        return told

    def fault(self, index: int, fault: Mapping[str, Any]) -> None:
        """Lets a device do something wrong from now on, such as ``{"kind": "hang"}``."""
        self._native.fault(whole("index", index), members("fault", fault))

    def clear(self, index: int) -> None:
        """Ends what a device does wrong."""
        self._native.clear(whole("index", index))

    async def aclose(self) -> None:
        """Closes all ports."""
        await self._native.close()

    async def __aenter__(self) -> Simulator:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


async def simulate_history(
    path: str | os.PathLike[str],
    *,
    days: int = 7,
    whatsminers: int = 10,
    antminers: int = 0,
    interval_ms: int = 300_000,
    seed: int = 0,
    base: str | None = None,
    end: int | None = None,
) -> dict[str, Any]:
    """Makes a site in an empty folder whose simulated miners were polled for so many days that end now, or at ``end``, ms since
    1970. Time is simulated too: a week takes seconds. Gives ``{"conf", "things", "start", "end", "polls", "events"}``: ``conf`` is what
    ``Site.open`` takes, ``events`` what happened to miners, such as a night's sleep or a lost board. ``Simulator.start`` with the same
    miners, ``base`` and ``seed`` gives the same devices, for the site to go on with."""
    conf: dict[str, Any] = {
        "days": whole("days", days),
        "whatsminers": whole("whatsminers", whatsminers),
        "antminers": whole("antminers", antminers),
        "intervalMs": whole("interval_ms", interval_ms),
        "seed": whole("seed", seed, 0xFFFFFFFFFFFFFFFF),
        "base": optional_text("base", base),
    }
    if end is not None:
        conf["end"] = whole("end", end, 0x7FFFFFFFFFFFFFFF)
    asked = (folder("path", path), members("conf", conf))
    told: dict[str, Any] = await native.simulate_history(*asked)
    return told
