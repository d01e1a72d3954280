"""What miners are opened with and how long that may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headframe._asked import text, written
from headframe._errors import invalid

_TIMES = ("factory_get_timeout", "api_function_timeout", "write_timeout", "scan_timeout")
"""Seconds, of which there must be some. A scan has as many as its addresses need unless it is told."""

_LONGEST = 0xFFFFFFFF // 1000

_COUNTS = ("factory_get_retries", "get_data_retries", "network_scan_semaphore")

_values: dict[str, Any] = {
    "factory_get_timeout": 6,
    "factory_get_retries": 1,
    "get_data_retries": 1,
    "api_function_timeout": 5,
    "network_scan_semaphore": None,
    "default_whatsminer_rpc_password": "admin",
    "default_antminer_web_password": "root",
    "default_antminer_web_username": "root",
    # Not pyasic's.
    "ports": None,
    "scan_timeout": None,
    # The slowest write is a reboot, which is read back for a quarter of an hour.
    "write_timeout": 960,
}


def get(key: str, other: Any = None) -> Any:
    """A setting; ``other`` where there is none."""
    return _values.get(text("key", key), other)


def update(key: str, val: Any) -> None:
    """Sets one. Passwords are used for miners that are found from then on; settings of firmware that Headframe has no driver for are
    kept and used by nobody."""
    key = text("key", key)
    if key == "ports":
        val = ports(val)
    elif key in _TIMES:
        _time(key, val)
    elif key in _COUNTS:
        _count(key, val)
    elif key.endswith(("_password", "_username")):
        text(key, val)
    _values[key] = val


def ports(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Ports as a caller gives them: those of ``headframe.discover``."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise invalid("ports", f"takes a mapping, not {type(value).__name__}")
    written("ports", dict(value))
    return dict(value)


def ms(seconds: float) -> int:
    """Milliseconds, at least one and no more than a call takes."""
    return max(1, int(min(seconds, _LONGEST) * 1000))


def _time(key: str, value: object) -> None:
    if value is None and key == "scan_timeout":
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _LONGEST:
        raise invalid(key, f"takes seconds, more than 0 and at most {_LONGEST}")


def _count(key: str, value: object) -> None:
    least = 1 if key == "network_scan_semaphore" else 0
    if value is None and least:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise invalid(key, f"takes a whole number from {least} on")
