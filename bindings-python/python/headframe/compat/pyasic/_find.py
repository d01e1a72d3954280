"""Miners in a range of addresses, as they are found."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from headframe import discover
from headframe._errors import invalid

from . import _settings
from ._miner import BaseMiner

_log = logging.getLogger("headframe.compat.pyasic")

Address = str | ipaddress.IPv4Address


def address(field: str, value: object) -> ipaddress.IPv4Address:
    """One IPv4 address."""
    if isinstance(value, ipaddress.IPv4Address):
        return value
    if not isinstance(value, str):
        raise invalid(field, f"takes an IPv4 address, not {type(value).__name__}")
    try:
        return ipaddress.IPv4Address(value)
    except ValueError as e:
        raise invalid(field, str(e)) from e


async def found(
    addresses: str, ports: Mapping[str, Any] | None, within_s: float
) -> AsyncGenerator[BaseMiner, None]:
    """Looks at addresses within a deadline. What there was no time for is logged."""
    asked = _settings.get("ports") if ports is None else _settings.ports(ports)
    at_once = _settings.get("network_scan_semaphore")
    async with discover(
        addresses, ports=asked, deadline_ms=_settings.ms(within_s), concurrency=at_once
    ) as scan:
        async for event in scan:
            if event["event"] == "device":
                yield BaseMiner(event)
            elif event["event"] == "unknown":
                _log.info("%s answers, but is no miner that is known: %s", event["address"], event.get("answers"))
            elif event["report"]["not_reached"]:
                _log.warning("there was no time to look at %s", event["report"]["not_reached"])


async def get_miner(ip: Address, ports: Mapping[str, Any] | None = None) -> BaseMiner | None:
    """The miner at an address; None when there is none that is known.

    ``ports`` are in place of the usual ones, as in ``headframe.discover``: ``{"simulated": True}`` are those of simulated devices.
    """
    attempts = 1 + int(_settings.get("factory_get_retries"))
    patience = _settings.get("factory_get_timeout") * attempts
    async with aclosing(found(str(address("ip", ip)), ports, patience)) as miners:
        async for miner in miners:
            return miner
    return None
