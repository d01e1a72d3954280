"""A device that is nobody's, and drivers for it."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import headframe

MAC = "AA:BB:CC:00:00:01"
WATTS = {"normal": 3_000, "low": 2_000}
CAPABILITY = {
    "commands": [
        {
            "name": "setPowerMode",
            "reply": "expected",
            "read_back": {"kind": "value", "field": "config.power_mode", "within_s": 2},
            "undo": "before",
            "restart": "none",
        }
    ],
    "power_modes": ["low", "normal"],
}


class Box:
    """The device: it answers over HTTP, and keeps its mode."""

    def __init__(self) -> None:
        self.mac = MAC
        self.mode = "normal"
        self.writes: list[str] = []
        self.host = ""
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, host: str) -> None:
        self._server = await asyncio.start_server(self._serve, host, 0)
        self.host, self.port = self._server.sockets[0].getsockname()

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def opts(self, **more: Any) -> dict[str, Any]:
        """What it is opened with."""
        return {"address": self.host, "port": self.port, **more}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, path, _ = (await reader.readline()).decode().split(" ", 2)
        while (await reader.readline()).strip():
            pass
        if method == "POST":
            self.mode = path.removeprefix("/mode/")
            self.writes.append(self.mode)
        state = json.dumps({"mac": self.mac, "mode": self.mode, "watts": WATTS[self.mode]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(state), state))
        await writer.drain()
        writer.close()


async def fetch(host: str, port: int, method: str, path: str) -> Any:
    """Asks a device."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise headframe.BadReply(head.decode("utf-8", "replace"))
        return json.loads(body)
    finally:
        writer.close()


class Acme:
    """A driver that waits for its device; with ``hangs`` it does so for ever."""

    id = "acme"
    make = "Acme"

    def __init__(self) -> None:
        self.closed = 0

    async def open(self, opts: dict[str, Any]) -> AcmeThing:
        return AcmeThing(self, opts)


class AcmeThing:
    capability = CAPABILITY

    def __init__(self, driver: Acme, opts: dict[str, Any]) -> None:
        self._driver = driver
        self._at = (opts["address"], opts["port"])
        self._hangs = opts.get("hangs", False)

    async def snapshot(self) -> dict[str, Any]:
        if self._hangs:
            await asyncio.Event().wait()
        return said(await fetch(*self._at, "GET", "/state"))

    async def observe(self, action: str) -> dict[str, Any]:
        return shown(action, await fetch(*self._at, "GET", "/state"))

    async def execute(self, action: str, params: list[Any]) -> dict[str, Any]:
        path = f"/mode/{params[0]}"
        return {"requests": [path], "reply": json.dumps(await fetch(*self._at, "POST", path))}

    async def close(self) -> None:
        await asyncio.sleep(0)
        self._driver.closed += 1


class PlainAcme:
    """The same in plain functions, as a class."""

    id = "plain-acme"

    @staticmethod
    def open(opts: dict[str, Any]) -> Any:
        root = f"http://{opts['address']}:{opts['port']}"

        def ask(path: str, data: bytes | None = None) -> Any:
            with urllib.request.urlopen(root + path, data, timeout=5) as reply:
                return json.loads(reply.read())

        def execute(action: str, params: list[Any]) -> None:
            ask(f"/mode/{params[0]}", b"")

        return SimpleNamespace(
            capability=CAPABILITY,
            snapshot=lambda: said(ask("/state")),
            observe=lambda action: shown(action, ask("/state")),
            execute=execute,
        )


def said(state: Any) -> dict[str, Any]:
    """What the device says, as a snapshot."""
    stats = {"status": "mining", "power_w": state["watts"]}
    return {"success": True, "stats": stats, "config": {"power_mode": state["mode"]}}


def shown(action: str, state: Any) -> dict[str, Any]:
    """What it shows of what an action changes."""
    return {"identity": {"mac": state["mac"]}, "now": {"name": action, "args": state["mode"]}}


class Does:
    """A driver whose things do what their option ``name`` says: one of ``snapshots`` or ``executes``. They take what is written, and
    do not show it."""

    id = "does"

    def __init__(
        self,
        snapshots: dict[str, Callable[[], Any]] | None = None,
        executes: dict[str, Callable[[], Any]] | None = None,
    ) -> None:
        self._snapshots = snapshots or {}
        self._executes = executes or {}
        self.taken: dict[str, int] = {}

    def open(self, opts: dict[str, Any]) -> Any:
        name = opts["name"]

        def execute(action: str, params: list[Any]) -> Any:
            self.taken[name] = self.taken.get(name, 0) + 1
            return self._executes[name]()

        return SimpleNamespace(
            capability=CAPABILITY,
            snapshot=self._snapshots.get(name, lambda: said({"watts": 1_000, "mode": "normal"})),
            observe=lambda action: shown(action, {"mac": MAC, "mode": "normal"}),
            execute=execute,
        )
