from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from .. import _headframe as native
from .._asked import members, text
from .._driver import Drivers, registry
from .._turn import turn


class Discovery:
    """A scan under way: devices and unknown hosts as they are found, and at last the summary."""

    def __init__(self, address_range: str, options: str, drivers: native.NativeDrivers) -> None:
        self._asked = (address_range, options, drivers)
        self._scan: native.NativeScan | None = None
        self._stopped = False

    def __aiter__(self) -> Discovery:
        return self

    async def __anext__(self) -> dict[str, Any]:
        await turn()
        if self._scan is None:
            begun: native.NativeScan = await native.start_scan(*self._asked)
            self._scan = begun
            if self._stopped:
                begun.stop()
        scan = self._scan
        while await scan.ready():
            # Waiting takes nothing: a wait that was given up lost nothing.
            event: dict[str, Any] | None = scan.take()
            if event is not None:
                return event
        raise StopAsyncIteration

    def stop(self) -> None:
        """Ends it early: the summary comes next."""
        self._stopped = True
        if self._scan is not None:
            self._scan.stop()

    async def __aenter__(self) -> Discovery:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def discover(
    address_range: str,
    *,
    ports: Mapping[str, Any] | None = None,
    deadline_ms: int | None = None,
    concurrency: int | None = None,
    drivers: Drivers | None = None,
) -> Discovery:
    """Looks for devices in a range of addresses, such as ``10.0.0.0/24`` or ``10.0.0.1-10.0.0.50``, without any password.

    Each comes as it is found, as a dict whose ``event`` is ``device`` or ``unknown``; the last one is the ``summary``. ``ports`` are in
    place of the usual ones: ``{"simulated": True}`` are those of simulated devices. ``drivers`` of one's own find theirs by their
    ``probes``.
    """
    options = {"ports": ports, "deadlineMs": deadline_ms, "concurrency": concurrency}
    given = {name: value for name, value in options.items() if value is not None}
    return Discovery(text("address_range", address_range), members("options", given), registry(drivers))
