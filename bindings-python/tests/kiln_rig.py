"""The driver for the Kiln beside a simulated one."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from headframe.testkit import Clock, Command, Fault, Rig, Truth, WriteFault

from tests.kiln import PASSWORD, Device
from tests.kiln_driver import Kiln

WRONG = "c0ld-cl4y"
_addresses = (f"127.110.{block}.{host}" for block in itertools.count(1) for host in range(1, 255))


class KilnRig(Rig):
    """It, with a driver of this kind."""

    def __init__(self, make: Callable[[Clock], Kiln]) -> None:
        self._clock = Clock()
        self._driver = make(self._clock)
        self.device = Device(self._clock)

    @staticmethod
    async def start(make: Callable[[Clock], Kiln] = Kiln) -> KilnRig:
        rig = KilnRig(make)
        await rig.device.start(next(_addresses))
        return rig

    def driver(self) -> Kiln:
        return self._driver

    def address(self) -> str:
        return self.device.host

    def ports(self) -> Mapping[str, int]:
        return {"web": self.device.port}

    def opts(self) -> dict[str, Any]:
        return {"address": self.device.host, "port": self.device.port, "password": PASSWORD}

    def wrong_opts(self) -> dict[str, Any]:
        return {**self.opts(), "password": WRONG}

    def secrets(self) -> Sequence[str]:
        return [PASSWORD, WRONG, "p00l-w0rd"]

    def fault(self, fault: Fault) -> None:
        self.device.fault(fault)

    def clear(self) -> Awaitable[None]:
        return self.device.clear()

    def write_fault(self, fault: WriteFault | None) -> None:
        self.device.write_fault = fault

    def meddle(self) -> None:
        self.device.set_pools("stratum+tcp://meddler.example:3333")

    def pass_time(self, seconds: float) -> None:
        self._clock.pass_time(seconds)

    def requests(self) -> int:
        return self.device.requests

    def open_connections(self) -> int:
        return self.device.open_connections

    def executed(self) -> Mapping[str, int]:
        return self.device.executed

    def truth(self) -> Truth:
        return self.device.truth()

    def out_of_range(self) -> Sequence[Command]:
        pool = {"url": "stratum+tcp://pool.example:3333", "username": "site.1"}
        return [
            {"name": "setPowerMode", "args": "high"},
            {"name": "setupPools", "args": []},
            {"name": "setupPools", "args": [pool] * 4},
            {"name": "setupPools", "args": [{**pool, "url": "stratum+tcp://a b:1"}]},
        ]
