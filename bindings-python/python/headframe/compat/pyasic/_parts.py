"""Parts of a miner and what is known of each, as pyasic shapes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from ._hashrate import HashRate


class Part:
    """What is written as a dict of its members, in their order."""

    def as_dict(self) -> dict[str, Any]:
        """Dicts, lists, texts and numbers."""
        return {name: plain(value) for name, value in vars(self).items()}

    def __getitem__(self, name: str) -> Any:
        try:
            return vars(self)[name]
        except KeyError:
            raise KeyError(name) from None

    def get(self, name: str, default: Any = None) -> Any:
        """A member; the default where it is not known."""
        value = vars(self).get(name)
        return default if value is None else value


def plain(value: Any) -> Any:
    """What JSON has."""
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in cast(Iterable[object], value)]
    return value.as_dict() if hasattr(value, "as_dict") else value


@dataclass
class DeviceInfo(Part):
    """What a miner is."""

    make: str | None = None
    model: str | None = None
    firmware: str | None = None
    algo: str | None = None


@dataclass
class Fan(Part):
    """A fan and its speed, rpm."""

    speed: int | None = None


@dataclass
class HashBoard(Part):
    """A hash board. ``missing`` is None where nobody can tell whether it is there."""

    slot: int = 0
    hashrate: HashRate | None = None
    inlet_temp: float | None = None
    outlet_temp: float | None = None
    temp: float | None = None
    chip_temp: float | None = None
    chips: int | None = None
    expected_chips: int | None = None
    serial_number: str | None = None
    missing: bool | None = None
    tuned: bool | None = None
    active: bool | None = None
    voltage: float | None = None


@dataclass
class PoolUrl(Part):
    """Where a pool is."""

    scheme: str | None = None
    host: str | None = None
    port: int | None = None
    pubkey: str | None = None

    def __str__(self) -> str:
        place = (self.host or "") if self.port is None else f"{self.host or ''}:{self.port}"
        place = place if self.pubkey is None else f"{place}/{self.pubkey}"
        return place if self.scheme is None else f"{self.scheme}://{place}"

    @staticmethod
    def of(written: str) -> PoolUrl:
        """The parts of an address such as ``stratum+tcp://pool.example:3333``, as far as it has them."""
        scheme, found, rest = written.strip().partition("://")
        if not found:
            scheme, rest = "", scheme
        place, _, key = rest.partition("/")
        host, colon, port = place.rpartition(":")
        if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 0xFFFF):
            host, port = place, ""
        return PoolUrl(scheme or None, host or None, int(port) if port else None, key.rstrip("/") or None)


@dataclass
class PoolMetrics(Part):
    """What a miner says of one of its pools. Percentages are of all shares that were answered."""

    url: PoolUrl | None = None
    accepted: int | None = None
    rejected: int | None = None
    get_failures: int | None = None
    remote_failures: int | None = None
    active: bool | None = None
    alive: bool | None = None
    index: int | None = None
    user: str | None = None
    pool_rejected_percent: float | None = None
    pool_stale_percent: float | None = None


@dataclass
class MinerError(Part):
    """An error that a miner reports, or why it could not be read."""

    error_code: int | str | None = None
    error_message: str | None = None

    def __str__(self) -> str:
        return self.error_message or ("" if self.error_code is None else str(self.error_code))


class WhatsminerError(MinerError):
    """An error of a Whatsminer."""


class X19Error(MinerError):
    """An error of an Antminer."""
