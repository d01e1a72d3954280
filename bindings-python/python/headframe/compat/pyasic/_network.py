"""Networks of miners."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from headframe._errors import invalid

from . import _settings
from ._find import Address, address, found, get_miner
from ._miner import BaseMiner

Run = tuple[int, int]
"""First and last of addresses that follow each other."""

MOST = 1 << 20
"""Addresses of a network at most: as many as a /12 has."""


class MinerNetwork:
    """Addresses to look for miners at. Its length is their number, and iterating gives them.

    ``ports`` are in place of the usual ones, as in ``headframe.discover``: ``{"simulated": True}`` are those of simulated devices.
    """

    def __init__(self, hosts: Iterable[Address], *, ports: Mapping[str, Any] | None = None) -> None:
        if isinstance(hosts, (str, bytes)) or not isinstance(hosts, Iterable):
            raise invalid("hosts", "takes a list of IPv4 addresses")
        given = itertools.islice((int(address("hosts", host)) for host in hosts), MOST + 1)
        self._runs: list[Run] = [(host, host) for host in dict.fromkeys(_bounded(given))]
        self._ports = _settings.ports(ports)

    @classmethod
    def _of(cls, runs: list[Run], ports: Mapping[str, Any] | None) -> MinerNetwork:
        network = cls((), ports=ports)
        network._runs = runs
        return network

    @classmethod
    def from_list(
        cls, addresses: Iterable[Address], *, ports: Mapping[str, Any] | None = None
    ) -> MinerNetwork:
        """From addresses, each of which counts once."""
        return cls(addresses, ports=ports)

    @classmethod
    def from_subnet(cls, subnet: str, *, ports: Mapping[str, Any] | None = None) -> MinerNetwork:
        """From a network such as ``10.0.0.0/24``, which may be written by any of its addresses. Its own address and that of its broadcasts
        are left out."""
        if not isinstance(subnet, (str, ipaddress.IPv4Network)):
            raise invalid("subnet", f"takes a network, not {type(subnet).__name__}")
        try:
            network = ipaddress.IPv4Network(subnet, strict=False)
        except ValueError as e:
            raise invalid("subnet", str(e)) from e
        ends = 1 if network.prefixlen < 31 else 0
        first, last = int(network.network_address) + ends, int(network.broadcast_address) - ends
        _few("subnet", last - first + 1)
        return cls._of([(first, last)], ports)

    @classmethod
    def from_octets(
        cls,
        oct_1: str | int,
        oct_2: str | int,
        oct_3: str | int,
        oct_4: str | int,
        *,
        ports: Mapping[str, Any] | None = None,
    ) -> MinerNetwork:
        """From the four numbers of addresses, each one number or a run such as ``1-254``."""
        given = (oct_1, oct_2, oct_3, oct_4)
        octets = [_octet(f"oct_{at}", octet) for at, octet in enumerate(given, start=1)]
        count = 1
        for octet in octets:
            count *= len(octet)
        _few("octets", count)
        ends = octets.pop()
        starts = ((a << 24) | (b << 16) | (c << 8) for a, b, c in itertools.product(*octets))
        return cls._of([(start + ends[0], start + ends[-1]) for start in starts], ports)

    @classmethod
    def from_address(cls, address: str, *, ports: Mapping[str, Any] | None = None) -> MinerNetwork:
        """From an address in which any number may be a run, such as ``10.0.0.1-254``."""
        octets = address.split(".") if isinstance(address, str) else []
        if len(octets) != 4:
            raise invalid("address", "takes four numbers or runs of them, with dots between")
        return cls.from_octets(*octets, ports=ports)

    @property
    def hosts(self) -> list[ipaddress.IPv4Address]:
        """The addresses."""
        return list(self)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._runs)

    def __iter__(self) -> Iterator[ipaddress.IPv4Address]:
        return (ipaddress.IPv4Address(host) for host in self._numbers())

    def __contains__(self, host: object) -> bool:
        number = int(address("host", host))
        return any(first <= number <= last for first, last in self._runs)

    def __repr__(self) -> str:
        return f"<MinerNetwork of {len(self)} addresses>"

    def _numbers(self) -> Iterator[int]:
        return itertools.chain.from_iterable(range(first, last + 1) for first, last in self._runs)

    def _text(self) -> str:
        address = ipaddress.IPv4Address
        return ",".join(f"{address(first)}-{address(last)}" for first, last in self._runs)

    async def scan(self) -> list[BaseMiner]:
        """All miners, in the order of the addresses."""
        async with aclosing(self.scan_network_generator()) as miners:
            by_place = {int(address("ip", miner.ip)): miner async for miner in miners}
        return [by_place[number] for number in self._numbers() if number in by_place]

    scan_network_for_miners = scan

    async def scan_network_generator(self) -> AsyncGenerator[BaseMiner, None]:
        """Miners as they are found. One deadline holds for all, ``scan_timeout`` of the settings; without it, it follows from the number of
        addresses. Leaving the loop ends the scan. Unlike pyasic's it never gives None."""
        if not self._runs:
            return
        # Far above what a scan takes with few files open, where each address is looked at twice.
        patience = _settings.get("scan_timeout") or 60 + len(self) / 10
        async with aclosing(found(self._text(), self._ports, patience)) as miners:
            async for miner in miners:
                yield miner

    async def ping_and_get_miner(self, ip: Address) -> BaseMiner | None:
        """The miner at one address; None when there is none."""
        return await get_miner(ip, self._ports)


def _octet(field: str, given: object) -> range:
    """A number or a run of them."""
    written = str(given) if isinstance(given, (str, int)) and not isinstance(given, bool) else ""
    first, _, last = (part.strip() for part in written.partition("-"))
    last = last or first
    if all(part.isascii() and part.isdigit() and len(part) <= 3 for part in (first, last)):
        octet = range(int(first), int(last) + 1)
        if octet and octet[-1] <= 0xFF:
            return octet
    raise invalid(field, "takes a number from 0 to 255, or a run such as 1-254")


def _few(field: str, count: int) -> None:
    if count > MOST:
        raise invalid(field, f"holds more than {MOST} addresses")


def _bounded(numbers: Iterable[int]) -> list[int]:
    """The numbers, which were cut behind the first that is too many."""
    told = list(numbers)
    _few("hosts", len(told))
    return told
