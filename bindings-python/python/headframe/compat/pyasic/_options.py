"""Names of what can be asked for."""

from __future__ import annotations

import enum


class DataOptions(str, enum.Enum):
    """What ``get_data`` can be told to include or to leave out."""

    MAC = "mac"
    DEVICE_INFO = "device_info"
    SERIAL_NUMBER = "serial_number"
    PSU_SERIAL_NUMBER = "psu_serial_number"
    API_VERSION = "api_ver"
    FW_VERSION = "fw_ver"
    HOSTNAME = "hostname"
    HASHRATE = "hashrate"
    EXPECTED_HASHRATE = "expected_hashrate"
    HASHBOARDS = "hashboards"
    ENVIRONMENT_TEMP = "env_temp"
    WATTAGE = "wattage"
    WATTAGE_LIMIT = "wattage_limit"
    FANS = "fans"
    FAN_PSU = "fan_psu"
    ERRORS = "errors"
    FAULT_LIGHT = "fault_light"
    IS_MINING = "is_mining"
    UPTIME = "uptime"
    CONFIG = "config"
    POOLS = "pools"

    def __str__(self) -> str:
        return self.value
