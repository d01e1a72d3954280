"""From a snapshot to pyasic's data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from . import _names
from ._data import MinerData
from ._hashrate import HashRate, HashUnit
from ._parts import (
    DeviceInfo,
    Fan,
    HashBoard,
    MinerError,
    PoolMetrics,
    PoolUrl,
    WhatsminerError,
    X19Error,
)

Members = Mapping[str, Any]

_ERRORS: dict[str, type[MinerError]] = {"antminer": X19Error, "whatsminer": WhatsminerError}
_WINDOWS = ("realtime", "t_5s", "t_30s", "t_1m", "t_5m", "avg")
"""The most current first."""


@dataclass(frozen=True)
class Expected:
    """Which parts a model has; None where that is not known."""

    boards: int | None = None
    chips: int | None = None
    fans: int | None = None


def data(driver: str, address: str, stock: bool, told: Members) -> MinerData:
    """What a device told."""
    stats, config, info = (_member(told, name) for name in ("stats", "config", "info"))
    device = about(driver, stock, info)
    unit = _names.unit(device.algo)
    boards, fans = _list(stats, "boards"), _list(stats, "fans")
    temperatures = _member(stats, "temperature_c")
    expected = expectation(info, boards)
    return MinerData(
        ip=address,
        device_info=device,
        serial_number=info.get("serial"),
        psu_serial_number=_member(stats, "psu").get("serial"),
        mac=info.get("mac"),
        api_ver=info.get("api"),
        fw_ver=info.get("firmware"),
        hostname=info.get("hostname"),
        expected_hashrate=_rate(stats.get("nominal_hashrate_mhs"), unit),
        expected_hashboards=expected.boards,
        expected_chips=expected.chips,
        expected_fans=expected.fans,
        # An Antminer's is the first sensor on its boards, whatever it is called.
        env_temp=temperatures.get("ambient") if driver == "whatsminer" else None,
        wattage=_whole(stats.get("power_w")),
        fans=_fans(fans, expected.fans),
        fan_psu=next((fan.get("rpm") for fan in fans if fan.get("name") == "psu"), None),
        hashboards=_boards(boards, temperatures, expected.boards, unit),
        fault_light=config.get("led_status"),
        errors=[_error(driver, error) for error in _list(stats, "errors")],
        is_mining=stats.get("is_mining"),
        uptime=None if stats.get("uptime_ms") is None else int(stats["uptime_ms"]) // 1000,
        pools=_pools(_list(stats, "pool_status"), _list(config, "pool_config")),
        hashrate=_current(_member(stats, "hashrate_mhs"), unit),
        wattage_limit=_whole(stats.get("power_limit_w")),
    )


def about(driver: str, stock: bool, info: Members) -> DeviceInfo:
    """What it is."""
    name: str | None = info.get("model")
    if driver == "whatsminer" and name is not None and info.get("variant"):
        name = f"{name} {info['variant']}"
    make = _names.FAMILIES.get(driver)
    return DeviceInfo(make, name, "Stock" if stock else None, _names.algo(driver, name))


def expectation(info: Members, boards: list[Members]) -> Expected:
    """Which parts it should have. The chips of a board are the same for all boards of a model."""
    count: int | None = info.get("boards_expected")
    each = {board.get("chips_expected") for board in boards}
    chips: int | None = each.pop() if len(each) == 1 else None
    whole = None if count is None or chips is None else count * chips
    return Expected(count, whole, info.get("fans_expected"))


def _member(told: Members, name: str) -> Members:
    """An object, which is empty where there is none."""
    value = told.get(name)
    return cast(Members, value) if isinstance(value, Mapping) else {}


def _list(told: Members, name: str) -> list[Members]:
    """Objects; there are none where nothing is told."""
    value: list[Members] | None = told.get(name)
    return value or []


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _rate(mhs: float | None, unit: HashUnit) -> HashRate | None:
    return None if mhs is None else HashRate(float(mhs), HashUnit.MH).into(unit)


def _current(windows: Members, unit: HashUnit) -> HashRate | None:
    now = (windows[name] for name in _WINDOWS if windows.get(name) is not None)
    return _rate(next(now, None), unit)


def _fans(told: list[Members], expected: int | None) -> list[Fan]:
    fans = [Fan(fan.get("rpm")) for fan in told if fan.get("name") != "psu"]
    return fans + [Fan() for _ in range(len(fans), expected or 0)]


def _boards(told: list[Members], temperatures: Members, expected: int | None, unit: HashUnit) -> list[HashBoard]:
    air = _list(temperatures, "temp")
    boards = [_board(board, air[at] if at < len(air) else {}, unit) for at, board in enumerate(told)]
    # What a device does not list is missing, but one that lists none at all may sleep or start.
    missing = True if boards else None
    lacking = max(0, (expected or 0) - len(boards))
    taken = {board.slot for board in boards}
    free = [slot for slot in range(len(boards) + lacking) if slot not in taken][:lacking]
    chips = boards[0].expected_chips if boards else None
    boards += [HashBoard(slot, expected_chips=chips, missing=missing) for slot in free]
    return sorted(boards, key=lambda board: board.slot)


def _board(told: Members, air: Members, unit: HashUnit) -> HashBoard:
    rate = _rate(told.get("hashrate_mhs"), unit)
    return HashBoard(
        slot=told.get("slot", 0),
        hashrate=rate,
        inlet_temp=air.get("pcbInlet"),
        outlet_temp=air.get("pcbOutlet"),
        temp=told.get("temperature_c"),
        chip_temp=told.get("chip_max_c"),
        chips=told.get("chips"),
        expected_chips=told.get("chips_expected"),
        serial_number=told.get("serial"),
        missing=False,
        active=None if rate is None else rate.rate > 0,
    )


def _error(driver: str, told: Members) -> MinerError:
    code = told.get("code")
    if isinstance(code, list):
        code = ",".join(str(one) for one in cast(list[object], code))
    # Codes of Whatsminers are numbers, which pyasic has as such; those of Antminers are texts such as ``J3:2``.
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) < 10:
        code = int(code)
    said = (told.get(name) for name in ("text", "message", "name", "msg"))
    return _ERRORS.get(driver, MinerError)(code, next((text for text in said if text), None))


def _pools(told: list[Members], set_: list[Members]) -> list[PoolMetrics]:
    return [_pool(index, pool, set_) for index, pool in enumerate(told)]


def _pool(index: int, told: Members, set_: list[Members]) -> PoolMetrics:
    url = told.get("pool") or ""
    accepted, rejected, stale = (told.get(name) for name in ("accepted", "rejected", "stale"))
    here: Members = set_[index] if index < len(set_) else {}
    return PoolMetrics(
        url=PoolUrl.of(url) if url else None,
        accepted=accepted,
        rejected=rejected,
        active=told.get("active"),
        alive=told.get("alive"),
        index=index,
        # The list of settings may be newer than that of counters.
        user=here.get("username") or None if here.get("url") == url else None,
        pool_rejected_percent=_share(rejected, (accepted, rejected, stale)),
        pool_stale_percent=_share(stale, (accepted, rejected, stale)),
    )


def _share(part: int | None, all_: tuple[int | None, int | None, int | None]) -> float | None:
    known = [count for count in all_ if count is not None]
    whole = sum(known) if len(known) == len(all_) else 0
    return part * 100 / whole if part is not None and whole else None
