"""What a miner says, under pyasic's keys."""

from __future__ import annotations

import datetime as time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from headframe._errors import invalid

from . import _lines
from ._hashrate import HashRate, HashUnit, checked, total
from ._parts import DeviceInfo, Fan, HashBoard, MinerError, Part, PoolMetrics, plain


def _now() -> str:
    return time.datetime.now(time.timezone.utc).isoformat(timespec="microseconds")


KEYS = (
    "ip",
    "device_info",
    "serial_number",
    "psu_serial_number",
    "mac",
    "api_ver",
    "fw_ver",
    "hostname",
    "sticker_hashrate",
    "expected_hashrate",
    "expected_hashboards",
    "expected_chips",
    "expected_fans",
    "env_temp",
    "wattage",
    "voltage",
    "fans",
    "fan_psu",
    "hashboards",
    "config",
    "fault_light",
    "errors",
    "is_mining",
    "uptime",
    "pools",
    "hashrate",
    "wattage_limit",
    "total_chips",
    "nominal",
    "percent_expected_chips",
    "percent_expected_hashrate",
    "percent_expected_wattage",
    "temperature_avg",
    "efficiency",
    "efficiency_fract",
    "datetime",
    "timestamp",
    "make",
    "model",
    "firmware",
    "algo",
)
"""In pyasic's order, which is also that of the columns of ``as_csv``."""


_ALWAYS = {"ip", "datetime", "device_info", "expected_hashboards", "expected_chips", "expected_fans"}


@dataclass
class MinerData(Part):
    """What a miner said at one time. What is not known is None, also in what is computed from it; lists hold what is known, and as
    many entries more as the model has parts of the kind.

    ``config`` is always None: settings are read and written through ``headframe.Device``.
    """

    ip: str
    device_info: DeviceInfo | None = None
    serial_number: str | None = None
    psu_serial_number: str | None = None
    mac: str | None = None
    api_ver: str | None = None
    fw_ver: str | None = None
    hostname: str | None = None
    sticker_hashrate: HashRate | None = None
    expected_hashrate: HashRate | None = None
    expected_hashboards: int | None = None
    expected_chips: int | None = None
    expected_fans: int | None = None
    env_temp: float | None = None
    wattage: int | None = None
    voltage: float | None = None
    fans: list[Fan] = field(default_factory=list[Fan])
    fan_psu: int | None = None
    hashboards: list[HashBoard] = field(default_factory=list[HashBoard])
    config: None = None
    fault_light: bool | None = None
    errors: list[MinerError] = field(default_factory=list[MinerError])
    is_mining: bool | None = None
    uptime: int | None = None
    pools: list[PoolMetrics] = field(default_factory=list[PoolMetrics])
    hashrate: HashRate | None = None
    wattage_limit: int | None = None
    datetime: str = field(default_factory=_now)

    def __post_init__(self) -> None:
        for name in ("sticker_hashrate", "expected_hashrate", "hashrate"):
            setattr(self, name, checked(name, getattr(self, name)))
        if self.hashrate is None:
            present = [board.hashrate for board in self.hashboards if not board.missing]
            known = [rate for rate in present if rate is not None]
            # A sum that leaves a board out would be too low.
            self.hashrate = total(known) if len(known) == len(present) else None

    @property
    def total_chips(self) -> int | None:
        """Chips of all boards that tell them."""
        told = [board.chips for board in self.hashboards if board.chips is not None]
        return sum(told) if told else None

    @property
    def _all_chips(self) -> int | None:
        """Chips of all boards, which is known only when each that is there tells them."""
        whole = all(board.chips is not None or board.missing for board in self.hashboards)
        return self.total_chips if whole else None

    @property
    def nominal(self) -> bool | None:
        """Whether all chips that the model has are there."""
        there, expected = self._all_chips, self.expected_chips
        return None if there is None or expected is None else there == expected

    @property
    def percent_expected_chips(self) -> int | None:
        """Of the chips that the model has."""
        return _percent(self._all_chips, self.expected_chips)

    @property
    def percent_expected_hashrate(self) -> int | None:
        """Of the hashrate that the miner says it should reach."""
        return _percent(_hashes(self.hashrate), _hashes(self.expected_hashrate))

    @property
    def percent_expected_wattage(self) -> int | None:
        """Of the power limit."""
        return _percent(self.wattage, self.wattage_limit)

    @property
    def temperature_avg(self) -> int | None:
        """Mean of the boards that tell theirs, °C."""
        told = [board.temp for board in self.hashboards if board.temp is not None]
        return round(sum(told) / len(told)) if told else None

    @property
    def efficiency(self) -> int | None:
        """J/TH."""
        exact = self._efficiency
        return None if exact is None else round(exact)

    @property
    def efficiency_fract(self) -> float | None:
        """J/TH, with two decimals."""
        exact = self._efficiency
        return None if exact is None else round(exact, 2)

    @property
    def _efficiency(self) -> float | None:
        if self.wattage is None or self.hashrate is None:
            return None
        terahashes = self.hashrate.into(HashUnit.TH).rate
        # A miner that stands has none.
        return self.wattage / terahashes if terahashes > 0 else None

    @property
    def timestamp(self) -> int:
        """``datetime`` in seconds since 1970."""
        return int(time.datetime.fromisoformat(self.datetime).timestamp())

    @property
    def make(self) -> str | None:
        """Such as ``WhatsMiner``."""
        return None if self.device_info is None else self.device_info.make

    @property
    def model(self) -> str | None:
        """Such as ``M30S+ VH60``."""
        return None if self.device_info is None else self.device_info.model

    @property
    def firmware(self) -> str | None:
        """Such as ``Stock``."""
        return None if self.device_info is None else self.device_info.firmware

    @property
    def algo(self) -> str | None:
        """Such as ``SHA256``."""
        return None if self.device_info is None else self.device_info.algo

    @staticmethod
    def fields() -> list[str]:
        """The keys."""
        return list(KEYS)

    def keys(self) -> list[str]:
        """The keys."""
        return list(KEYS)

    def __iter__(self) -> Iterator[str]:
        return iter(KEYS)

    def __getitem__(self, name: str) -> Any:
        if name not in KEYS:
            raise KeyError(name)
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """A member; the default where it is not known."""
        value = getattr(self, name) if name in KEYS else None
        return default if value is None else value

    def as_dict(self) -> dict[str, Any]:
        """All of it: dicts, lists, texts and numbers."""
        return {name: plain(getattr(self, name)) for name in KEYS}

    asdict = as_dict

    def as_json(self) -> str:
        """``as_dict`` as JSON."""
        return _lines.json_line(self.as_dict())

    def as_csv(self) -> str:
        """The values in one line, in the order of the keys. Those with commas in them are quoted."""
        return _lines.csv_line({**self.as_dict(), "errors": "; ".join(str(error) for error in self.errors)})

    def as_influxdb(self, measurement_name: str = "miner_data", level_delimiter: str = ".") -> str:
        """InfluxDB's line protocol, with the numbers that are known: the empty text when none is."""
        return _lines.influx_line(self, measurement_name, level_delimiter)

    def only(self, names: set[str] | None) -> MinerData:
        """This without what was not asked for; None asks for all."""
        if names is None:
            return self
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.name in names | _ALWAYS}
        return MinerData(**own)


def wanted(include: Iterable[object] | None, exclude: Iterable[object] | None) -> set[str] | None:
    """The members that are asked for; None asks for all."""
    if include is None and exclude is None:
        return None
    names: set[str] = set(KEYS) if include is None else _names("include", include)
    return names - (set() if exclude is None else _names("exclude", exclude))


def _percent(part: float | None, whole: float | None) -> int | None:
    return round(part / whole * 100) if part is not None and whole else None


def _hashes(rate: HashRate | None) -> float | None:
    return None if rate is None else rate.into(HashUnit.H).rate


def _names(given: str, names: Iterable[object]) -> set[str]:
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        raise invalid(given, "takes a list of names")
    told = {str(getattr(name, "value", name)) for name in names}
    unknown = told.difference(KEYS)
    if unknown:
        raise invalid(given, f"there is no {', '.join(sorted(unknown))}")
    return told
