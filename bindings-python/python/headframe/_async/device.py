from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from .. import _headframe as native
from .._asked import members, text, whole, written
from .._driver import Drivers, registry


class Device:
    """One device, outside any site: for programs that talk to a handful of machines."""

    def __init__(self, device: native.NativeDevice) -> None:
        self._native = device

    async def snapshot(self, *, within_ms: int = 30_000) -> native.Snapshot:
        """What it says now, under MiningOS's keys."""
        told: native.Snapshot = await self._native.snapshot(whole("within_ms", within_ms))
        return told

    def capability(self) -> dict[str, Any]:
        """What it can do."""
        told: dict[str, Any] = self._native.capability()
        return told

    async def execute(self, name: str, args: object = None, *, within_ms: int = 600_000) -> dict[str, Any]:
        """Carries out a write and reads back what became of it. It needs no approval: in a site actions do."""
        command = {"name": name} if args is None else {"name": name, "args": args}
        asked = written("command", command)
        told: dict[str, Any] = await self._native.execute(asked, whole("within_ms", within_ms))
        return told

    async def aclose(self) -> None:
        """Ends its connections."""
        await self._native.close()

    async def __aenter__(self) -> Device:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


async def open_device(
    driver: str, opts: Mapping[str, Any], *, drivers: Drivers | None = None
) -> Device:
    """Opens a device with a driver, such as ``whatsminer``, and its options: ``address``, ``password`` and the like."""
    asked = (text("driver", driver), members("opts", opts))
    return Device(await registry(drivers).open_device(*asked))
