"""One member at a time."""

from __future__ import annotations

from ._data import MinerData
from ._hashrate import HashRate
from ._parts import DeviceInfo, Fan, HashBoard, MinerError, PoolMetrics


class Getters:
    """pyasic's getters. Each reads the miner once: who wants more than one member asks ``get_data``."""

    async def get_data(self) -> MinerData:
        """All members."""
        raise NotImplementedError

    async def get_device_info(self) -> DeviceInfo | None:
        """What it is."""
        return (await self.get_data()).device_info

    async def get_model(self) -> str | None:
        """Its model."""
        return (await self.get_data()).model

    async def get_serial_number(self) -> str | None:
        """Its serial number."""
        return (await self.get_data()).serial_number

    async def get_mac(self) -> str | None:
        """Its MAC address, upper case with colons."""
        return (await self.get_data()).mac

    async def get_hostname(self) -> str | None:
        """Its host name."""
        return (await self.get_data()).hostname

    async def get_version(self) -> tuple[str | None, str | None]:
        """Versions of its API and its firmware."""
        data = await self.get_data()
        return data.api_ver, data.fw_ver

    async def get_api_ver(self) -> str | None:
        """Version of its API."""
        return (await self.get_data()).api_ver

    async def get_fw_ver(self) -> str | None:
        """Version of its firmware."""
        return (await self.get_data()).fw_ver

    async def get_hashrate(self) -> HashRate | None:
        """What it hashes."""
        return (await self.get_data()).hashrate

    async def get_expected_hashrate(self) -> HashRate | None:
        """What it should hash."""
        return (await self.get_data()).expected_hashrate

    async def get_hashboards(self) -> list[HashBoard]:
        """Its hash boards."""
        return (await self.get_data()).hashboards

    async def get_env_temp(self) -> float | None:
        """Temperature around it, °C."""
        return (await self.get_data()).env_temp

    async def get_wattage(self) -> int | None:
        """Power that it draws, W."""
        return (await self.get_data()).wattage

    async def get_wattage_limit(self) -> int | None:
        """Power that it was told to stay below, W."""
        return (await self.get_data()).wattage_limit

    async def get_fans(self) -> list[Fan]:
        """Its fans."""
        return (await self.get_data()).fans

    async def get_fan_psu(self) -> int | None:
        """Speed of its power supply's fan, rpm."""
        return (await self.get_data()).fan_psu

    async def get_errors(self) -> list[MinerError]:
        """Its errors."""
        return (await self.get_data()).errors

    async def get_fault_light(self) -> bool | None:
        """Whether its locating light is on."""
        return (await self.get_data()).fault_light

    async def get_uptime(self) -> int | None:
        """Since when it mines, s."""
        return (await self.get_data()).uptime

    async def get_pools(self) -> list[PoolMetrics]:
        """Its pools."""
        return (await self.get_data()).pools

    async def is_mining(self) -> bool | None:
        """Whether it hashes."""
        return (await self.get_data()).is_mining
