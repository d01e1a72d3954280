"""A miner that does not exist, the Kiln, and a simulated one on loopback.

What is known of the Kiln:

- HTTP/1.1 on port 80, JSON in both directions, one request a connection, which the device closes. Every request but ``GET /hello`` has
  the header ``X-Key`` with the password, ``kiln`` as it is delivered; with a wrong one it is answered 401.
- ``GET /hello``: ``{"device": "kiln", "model", "firmware", "mac"}``. Other machines of the maker say ``"device": "oven"``.
- ``GET /live``: ``{"up", "hashing", "watts", "boards": [{"slot", "ghs", "mhz", "chip", "pcb", "faults"}], "fans": [rpm], "pools": [{"url",
  "ok", "bad", "late", "works"}], "errors": [code]}``. ``up`` is the time since it started in s, ``ghs`` is GH/s, ``chip`` (the hottest one)
  and ``pcb`` are tenths of a degree. ``watts`` is -1 when it cannot be measured. Shares count from the start.
- ``GET /conf``: ``{"rev", "mode", "led", "pools": [{"url", "user"}], "net": {"dhcp", "ip", "mask", "gw"}, "plate": {"ghs"}}``. ``mode`` is
  ``full``, ``eco`` or ``off``; ``led`` is 0 or 1; ``plate`` is what it was sold with. ``rev`` counts changes of the pools.
- ``POST /mode {"mode"}``, ``/led {"led"}``, ``/restart {}``, ``/pools {"rev", "pools": [{"url", "user", "pass"}]}``, which replaces all pools, at
  most 3, and is answered 409 when ``rev`` is another by now. All are answered ``{"done": true}``. A restart takes less than a second.

What is doubtful: nobody has seen what it does when a board is missing. Whoever is on the same network reads the password.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from headframe.testkit import Clock, Fault, Truth, WriteFault

PASSWORD = "f1red-cl4y"
MODEL = "Kiln K3"
MAC = "02:4B:49:4C:4E:01"
BOARDS = 3
FULL_GHS = 40_000.0
"""Of one board."""
RATE = {"full": 1.0, "eco": 0.6, "off": 0.0}
WATTS = {"full": 3_300.0, "eco": 1_800.0, "off": 25.0}
SHARES_S = 0.05
UP_S = 5_000

Refused = tuple[int, dict[str, Any]]


class Device:
    """A simulated one, and what it counts."""

    def __init__(self, clock: Clock) -> None:
        self.host = ""
        self.port = 0
        self.requests = 0
        self.open_connections = 0
        self.executed: Counter[str] = Counter()
        self.mode = "full"
        self.write_fault: WriteFault | None = None
        self._clock = clock
        self._started = clock() - UP_S
        self._led = 0
        self._rev = 1
        self._pools = [{"url": "stratum+tcp://first.example:3333", "user": "site.1"}]
        self._fault: Fault | None = None
        self._server: asyncio.Server | None = None

    async def start(self, host: str) -> None:
        self._server = await asyncio.start_server(self._serve, host, self.port, backlog=256)
        self.host, self.port = self._server.sockets[0].getsockname()

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def fault(self, fault: Fault) -> None:
        self._fault = fault
        if fault == "refuse":
            self.stop()

    async def clear(self) -> None:
        self._fault = None
        if self._server is None:
            await self.start(self.host)

    def set_pools(self, url: str) -> None:
        """Somebody else sets them."""
        self._pools = [{"url": url, "user": "other.1"}]
        self._rev += 1

    def truth(self) -> Truth:
        return {
            "mining": self.mode != "off",
            "hashrate_mhs": BOARDS * self._ghs() * 1_000,
            "power_w": WATTS[self.mode],
            "chip_max_c": self._chip(BOARDS) / 10,
            "boards": BOARDS,
            "accepted": self._shares(),
        }

    def _ghs(self) -> float:
        return FULL_GHS * RATE[self.mode]

    def _chip(self, slot: int) -> int:
        return 250 + int(500 * RATE[self.mode]) + 10 * slot

    def _up(self) -> int:
        return int(self._clock() - self._started)

    def _shares(self) -> int:
        return int(self._up() * SHARES_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        try:
            reply = await self._answered(reader)
            if reply is not None:
                await self._send(reply, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            # Whoever asked has gone.
            pass
        finally:
            self.open_connections -= 1
            writer.close()

    async def _answered(self, reader: asyncio.StreamReader) -> bytes | None:
        """The reply to one request; None when it is not answered."""
        method, path, _ = (await reader.readuntil(b"\r\n")).decode().split(" ", 2)
        headers: dict[str, str] = {}
        while line := (await reader.readuntil(b"\r\n")).decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests += 1
        if path != "/hello" and headers.get("x-key") != PASSWORD:
            return _reply(401, {"error": "key"})
        if method == "GET":
            return _reply(200, self._said(path))
        status, told = self._done(path, json.loads(body))
        return None if self.write_fault == "mute" else _reply(status, told)

    def _said(self, path: str) -> dict[str, Any]:
        if path == "/hello":
            return {"device": "kiln", "model": MODEL, "firmware": "1.4.0", "mac": MAC}
        if path == "/live":
            return self._live()
        net = {"dhcp": True, "ip": self.host, "mask": "255.0.0.0", "gw": "127.0.0.1"}
        plate = {"ghs": BOARDS * FULL_GHS}
        return {"rev": self._rev, "mode": self.mode, "led": self._led, "pools": self._pools, "net": net, "plate": plate}

    def _live(self) -> dict[str, Any]:
        shares = self._shares()
        board = {"ghs": self._ghs(), "mhz": int(500 * RATE[self.mode]), "pcb": 400, "faults": 2}
        pools = [{"url": pool["url"], "ok": 0, "bad": 0, "late": 0, "works": False} for pool in self._pools]
        pools[0].update(ok=shares, bad=shares // 100, late=shares // 200, works=self.mode != "off")
        return {
            "up": self._up(),
            "hashing": self.mode != "off",
            "watts": int(WATTS[self.mode]),
            "boards": [{"slot": slot, "chip": self._chip(slot), **board} for slot in range(1, BOARDS + 1)],
            "fans": [5_400, 5_460],
            "pools": pools,
            "errors": [],
        }

    def _done(self, path: str, asked: dict[str, Any]) -> Refused:
        if path == "/pools" and asked["rev"] != self._rev:
            return 409, {"error": "rev"}
        if self.write_fault != "ignored":
            self.executed[path] += 1
            self._do(path, asked)
        return 200, {"done": True}

    def _do(self, path: str, asked: dict[str, Any]) -> None:
        if path == "/mode":
            self.mode = asked["mode"]
        elif path == "/led":
            self._led = asked["led"]
        elif path == "/pools":
            self._pools = [{"url": pool["url"], "user": pool["user"]} for pool in asked["pools"]]
            self._rev += 1
        elif path == "/restart":
            self._started = self._clock()

    async def _send(self, reply: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Sends a reply, as its fault has it."""
        _, _, body = reply.partition(b"\r\n\r\n")
        if self._fault == "hang":
            await reader.read()
            return
        if self._fault == "drip":
            await _drip(reply, reader, writer)
            return
        if self._fault == "cut":
            reply = reply[: len(reply) - len(body) // 2]
        elif self._fault == "garbage":
            reply = b"\x00\xff what is this?\n"
        elif self._fault == "half_json":
            half = body[: len(body) // 2]
            reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(half), half)
        while self._fault == "flood":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 65_536)
            await writer.drain()
        writer.write(reply)
        await writer.drain()


async def _drip(reply: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    gone = asyncio.ensure_future(reader.read())
    for at in range(len(reply)):
        writer.write(reply[at : at + 1])
        done, _ = await asyncio.wait([gone], timeout=1)
        if done:
            break
    gone.cancel()


def _reply(status: int, told: dict[str, Any]) -> bytes:
    body = json.dumps(told).encode()
    return b"HTTP/1.1 %d Kiln\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
