"""Miners whose IP-report button is pressed."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import re
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Mapping

from headframe._asked import text, whole
from headframe._errors import Conflict, Forbidden, HeadframeError, Unreachable, invalid

from ._find import address

Report = dict[str, str | None]
Said = tuple[str | None, str | None]
"""Address and MAC address in a report."""

PORTS = {"antminer": 14235, "whatsminer": 8888}

_LONGEST = 512
"""Real reports are below 60 bytes."""
_WAITING = 256
"""Reports that are kept for a reader that does not come; the oldest go."""
_WINDOW_S = 10.0
_MOST_PER_SENDER = 20
_MOST_IN_ALL = 1000

_ERRORS: dict[int, type[HeadframeError]] = {
    errno.EADDRINUSE: Conflict,
    errno.EACCES: Forbidden,
    errno.EPERM: Forbidden,
}
_MAC = re.compile(r"(?:[0-9A-F]{2}[:-]?){5}[0-9A-F]{2}")
_IP = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.])")


class MinerListener:
    """Hears miners that say where they are: Antminers on one UDP port, Whatsminers on another.

    Anybody on the network can send a report, so it proves nothing: ask ``get_miner`` what is at the address. ``ports`` are in place of
    the usual ones, ``{"antminer": 14235, "whatsminer": 8888}``; 0 takes a free one.
    """

    def __init__(self, bind_addr: str = "0.0.0.0", *, ports: Mapping[str, int] | None = None) -> None:
        self.bind_addr = str(address("bind_addr", text("bind_addr", bind_addr)))
        if ports is not None and not isinstance(ports, Mapping):
            raise invalid("ports", f"takes a mapping, not {type(ports).__name__}")
        unknown = set(ports or {}).difference(PORTS)
        if unknown:
            raise invalid("ports", f"are those of {' and '.join(PORTS)}")
        own = {**PORTS, **(ports or {})}
        self.ports = {name: whole(f"ports.{name}", port, 0xFFFF) for name, port in own.items()}
        """Those that it listens on, once ``listen`` has begun."""
        self._heard: deque[Report] = deque(maxlen=_WAITING)
        self._news: asyncio.Event | None = None
        self._sockets: list[asyncio.DatagramTransport] = []

    async def listen(self) -> AsyncGenerator[Report, None]:
        """Reports as they come, ``{"IP", "MAC"}``, until ``close`` is called. ``MAC`` is None in a report without one."""
        if self._news is not None:
            raise Conflict("it listens already", op="compat.pyasic.listen")
        news = self._news = asyncio.Event()
        sockets = self._sockets = []
        try:
            for name, read in (("antminer", pair), ("whatsminer", labelled)):
                sockets.append(await self._bound(name, read))
            while self._news is news:
                if self._heard:
                    yield self._heard.popleft()
                else:
                    news.clear()
                    await news.wait()
        finally:
            _end(sockets)
            if self._news is news:
                self._news = None

    async def close(self) -> None:
        """Frees the ports and ends ``listen``. After that it can listen again."""
        _end(self._sockets)
        news, self._news = self._news, None
        if news is not None:
            news.set()
        # The system has the ports back once the loop has had its turn.
        await asyncio.sleep(0)

    async def _bound(self, name: str, read: Callable[[bytes], Said]) -> asyncio.DatagramTransport:
        where = (self.bind_addr, self.ports[name])
        try:
            socket, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Ear(read, self._hear), local_addr=where
            )
        except OSError as e:
            error = _ERRORS.get(e.errno or 0, Unreachable)
            context = {"address": f"{where[0]}:{where[1]}"}
            raise error(f"cannot listen: {e}", op="compat.pyasic.listen", context=context) from e
        self.ports[name] = socket.get_extra_info("sockname")[1]
        return socket

    def _hear(self, report: Report) -> None:
        self._heard.append(report)
        if self._news is not None:
            self._news.set()


def _end(sockets: list[asyncio.DatagramTransport]) -> None:
    for socket in sockets:
        socket.close()


class _Ear(asyncio.DatagramProtocol):
    """Takes what is a report, and not too many."""

    def __init__(self, read: Callable[[bytes], Said], hear: Callable[[Report], None]) -> None:
        self._read = read
        self._hear = hear
        self._began = 0.0
        self._sent: Counter[str] = Counter()

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        if len(data) >= _LONGEST:
            return
        ip, mac = self._read(data)
        sender = str(addr[0])
        if (ip or mac) and self._allows(sender):
            self._hear({"IP": ip or sender, "MAC": mac})

    def error_received(self, exc: Exception) -> None:
        """An error of one datagram, such as a port of a sender that is gone: the next may come all the same."""

    def _allows(self, sender: str) -> bool:
        now = time.monotonic()
        if now - self._began >= _WINDOW_S:
            self._began = now
            self._sent.clear()
        if self._sent.total() >= _MOST_IN_ALL or self._sent[sender] >= _MOST_PER_SENDER:
            return False
        self._sent[sender] += 1
        return True


def pair(data: bytes) -> Said:
    """``<ip>,<mac>``, which some firmwares begin with a bracket."""
    said = data.decode("ascii", "replace").lstrip("[ \t\r\n")
    _, _, behind = said.rpartition(",")
    return _ip(said), _mac(behind)


def labelled(data: bytes) -> Said:
    """``IP:<ip>MAC:<mac>`` and a byte more."""
    said = data.decode("ascii", "replace").upper()
    ip, mac = (said.partition(label)[2] for label in ("IP:", "MAC:"))
    return _ip(ip.lstrip()), _mac(mac)


def _ip(said: str) -> str | None:
    """The address at the beginning, when it can be a miner's."""
    begins = _IP.match(said)
    try:
        ip = ipaddress.IPv4Address(begins[0]) if begins else None
    except ValueError:
        return None
    if ip is None or ip.is_unspecified or ip.is_multicast or int(ip) == 0xFFFFFFFF:
        return None
    return str(ip)


def _mac(said: str) -> str | None:
    """The MAC address at the beginning, in upper case with colons."""
    begins = _MAC.match(said.strip().upper())
    digits = re.sub("[:-]", "", begins[0]) if begins else ""
    if not digits.strip("0") or not digits.strip("F"):
        return None
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
