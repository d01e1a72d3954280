"""A miner: what it says, and the writes that pyasic has."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from headframe import Device, open_device
from headframe._errors import (
    BadReply,
    Forbidden,
    RateLimited,
    Rejected,
    Timeout,
    Unauthenticated,
    Unreachable,
    Unsupported,
    invalid,
)

from . import _names, _read, _settings
from ._data import MinerData, wanted
from ._getters import Getters
from ._parts import DeviceInfo, MinerError

_log = logging.getLogger("headframe.compat.pyasic")

_UNREAD = (BadReply, Forbidden, RateLimited, Rejected, Timeout, Unauthenticated, Unreachable)
_REFUSED = (Forbidden, Rejected, Unsupported)


@dataclass
class Login:
    """What one of a miner's services is opened with. A change counts from the next call on."""

    pwd: str
    username: str = "admin"

    def __repr__(self) -> str:
        return f"Login(username={self.username!r}, pwd='***')"


class BaseMiner(Getters):
    """A miner that was found. Miners are ordered, and equal, by their addresses.

    A write is True when the miner confirmed it or when its effect was read back, and False when the miner refused it or cannot do it; the
    reason is logged. All else is raised: above all an error whose ``sent`` is ``"maybe"``, after which nobody knows whether the miner
    has the write, and a bool would be a guess. A write waits until its effect shows, a reboot until the miner is back.
    """

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.ip: str = found["address"]
        self.driver: str = found["driver"]
        self.raw_model: str | None = found.get("model")
        self.light: bool | None = None
        self.expected_hashboards: int | None = None
        self.expected_chips: int | None = None
        self.expected_fans: int | None = None
        name = _names.model(self.driver, self.raw_model)
        make = _names.FAMILIES.get(self.driver)
        self._stock = found.get("stock") is True
        firmware = "Stock" if self._stock else None
        self.device_info = DeviceInfo(make, name, firmware, _names.algo(self.driver, name))
        self._found: dict[str, Any] = dict(found.get("opts") or {})
        self._opened: tuple[dict[str, Any], Device] | None = None
        self.rpc: Login | None = None
        self.web: Login | None = None
        self.ssh: None = None
        if self.driver == "whatsminer":
            self.rpc = Login(_settings.get("default_whatsminer_rpc_password"))
        elif self.driver == "antminer":
            known = (_settings.get(f"default_antminer_web_{name}") for name in ("password", "username"))
            self.web = Login(*known)

    @property
    def make(self) -> str | None:
        """Such as ``WhatsMiner``."""
        return self.device_info.make

    @property
    def model(self) -> str | None:
        """Such as ``M30S+ VH60``."""
        return self.device_info.model

    @property
    def firmware(self) -> str | None:
        """Such as ``Stock``."""
        return self.device_info.firmware

    @property
    def algo(self) -> str | None:
        """Such as ``SHA256``."""
        return self.device_info.algo

    async def get_data(
        self,
        allow_warning: bool = False,
        include: Iterable[object] | None = None,
        exclude: Iterable[object] | None = None,
    ) -> MinerData:
        """What it says now, in one reading within one deadline.

        As in pyasic a miner that does not answer is no exception, so that it takes nothing from those that were asked with it: its data
        knows nothing but what was found, and ``errors`` says why. ``allow_warning`` changes nothing.
        """
        names = wanted(include, exclude)
        try:
            snapshot = await (await self._device()).snapshot(within_ms=_reading_ms())
        except _UNREAD as e:
            _log.warning("%s: cannot be read: %s", self, e)
            return MinerData(self.ip, self.device_info, errors=[MinerError(None, f"{e.code}: {e}")])
        return self._take(snapshot.as_dict()).only(names)

    def _take(self, told: Mapping[str, Any]) -> MinerData:
        data = _read.data(self.driver, self.ip, self._stock, told)
        if data.device_info is None or data.device_info.model is None:
            data.device_info = self.device_info
        self.device_info = data.device_info
        self.light = data.fault_light
        # A miner that sleeps or starts tells less of itself than before.
        for name in ("expected_hashboards", "expected_chips", "expected_fans"):
            if data[name] is None:
                setattr(data, name, getattr(self, name))
            else:
                setattr(self, name, data[name])
        return data

    async def reboot(self) -> bool:
        """Restarts the whole machine, and waits until it is back."""
        return await self._write("reboot")

    async def restart_backend(self) -> bool:
        """Restarts the mining software."""
        return await self._write("restartMinerSoftware")

    async def fault_light_on(self) -> bool:
        """Switches the locating light on."""
        return await self._write("setLED", True)

    async def fault_light_off(self) -> bool:
        """Switches the locating light off."""
        return await self._write("setLED", False)

    async def stop_mining(self) -> bool:
        """Stops mining; the control board stays up."""
        return await self._write("suspendMining")

    async def resume_mining(self) -> bool:
        """Mines again, in the mode that was there before."""
        return await self._write("resumeMining")

    async def set_power_limit(self, wattage: float) -> bool:
        """Limits the power, W. A limit outside the miner's range is Invalid, and the error tells the range."""
        if isinstance(wattage, bool) or not isinstance(wattage, (int, float)):
            raise invalid("wattage", f"takes watts, not {type(wattage).__name__}")
        return await self._write("setPowerLimit", wattage)

    async def _write(self, name: str, args: object = None) -> bool:
        patience = _settings.ms(_settings.get("write_timeout"))
        try:
            outcome = await (await self._device()).execute(name, args, within_ms=patience)
        except _REFUSED as e:
            if e.sent != "no":
                raise
            _log.warning("%s: %s was refused: %s", self, name, e)
            return False
        if outcome["state"] == "sent":
            why = f"{name} went out, the miner said nothing, and its effect cannot be read back"
            raise Rejected(why, code="ERR_NOT_CONFIRMED", op="compat.pyasic", sent="maybe", context={"address": self.ip})
        if name == "setLED":
            self.light = bool(args)
        return True

    def _opts(self) -> dict[str, Any]:
        login = self.rpc or self.web
        if login is None:
            return self._found
        opts = {**self._found, "password": login.pwd}
        if self.driver == "antminer":
            opts["username"] = login.username
        return {name: value for name, value in opts.items() if value is not None}

    async def _device(self) -> Device:
        """The device, opened anew where its login was changed."""
        opts = self._opts()
        if self._opened is None or self._opened[0] != opts:
            device = await open_device(self.driver, opts)
            # Another call may have opened it meanwhile. What is let go of ends its connections once nobody uses it.
            if self._opened is None or self._opened[0] != opts:
                self._opened = (opts, device)
        return self._opened[1]

    async def aclose(self) -> None:
        """Ends its connections. It may be asked again, which opens it anew."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened[1].aclose()

    async def __aenter__(self) -> BaseMiner:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def _place(self) -> ipaddress.IPv4Address:
        return ipaddress.IPv4Address(self.ip)

    def __eq__(self, other: object) -> bool:
        return self._place == other._place if isinstance(other, BaseMiner) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._place)

    def __lt__(self, other: BaseMiner) -> bool:
        return self._place < other._place if isinstance(other, BaseMiner) else NotImplemented

    def __gt__(self, other: BaseMiner) -> bool:
        return self._place > other._place if isinstance(other, BaseMiner) else NotImplemented

    def __repr__(self) -> str:
        return f"{self.model or self.make}: {self.ip}"


AnyMiner = BaseMiner


def _reading_ms() -> int:
    """A reading is one call, so it gets the time of all attempts."""
    attempts = 1 + int(_settings.get("get_data_retries"))
    return _settings.ms(_settings.get("api_function_timeout") * attempts)
