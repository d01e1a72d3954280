"""pyasic's factory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import _find
from ._find import Address
from ._miner import BaseMiner
from ._network import MinerNetwork


class MinerFactory:
    """Finds miners. It keeps none: a miner is looked for each time."""

    async def get_miner(self, ip: Address, ports: Mapping[str, Any] | None = None) -> BaseMiner | None:
        """The miner at an address; None when there is none that is known."""
        return await _find.get_miner(ip, ports)

    async def get_multiple_miners(
        self, ips: Iterable[Address], ports: Mapping[str, Any] | None = None
    ) -> list[BaseMiner]:
        """All miners at some addresses."""
        return await MinerNetwork(ips, ports=ports).scan()


miner_factory = MinerFactory()
