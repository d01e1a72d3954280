"""A driver for the Kiln, out of what ``kiln.py`` says of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import headframe

DOCS = """# Kiln

Reads and writes Kilns of the firmwares 1.x over HTTP, port 80, with one connection for each request. It takes `address`, `port` and
`password`; the device is delivered with the password `kiln`.

It tells everything that a miner's snapshot has. The power is the device's own figure; it is absent where the device says -1. Live values
are read on every poll, settings every five minutes.

Writes: `reboot`, `setPowerMode` (`normal`, `low`, `sleep`), `setLED` and `setupPools`, at most three. Pools are replaced as a whole, and
only when nobody changed them meanwhile.

Doubtful: what it does when a board is missing. Whoever is on the same network can read the password and change the device.
"""
LONGEST_REPLY = 64 * 1024
REFRESH_S = 300
MODES = {"full": "normal", "eco": "low", "off": "sleep"}
WIRE_MODES = {mode: wire for wire, mode in MODES.items()}


def row(name: str, read_back: dict[str, Any], undo: str = "before", restart: str = "none") -> dict[str, Any]:
    return {"name": name, "reply": "expected", "read_back": read_back, "undo": undo, "restart": restart}


def value(field: str) -> dict[str, Any]:
    return {"kind": "value", "field": field, "within_s": 2}


CAPABILITY: dict[str, Any] = {
    "commands": [
        row("reboot", {"kind": "restarted", "within_s": 8}, undo="none", restart="machine"),
        row("setPowerMode", value("config.power_mode"), restart="mining"),
        row("setupPools", value("config.pool_config")),
        row("setLED", value("config.led_status")),
    ],
    "power_modes": ["low", "normal", "sleep"],
    "pools_max": 3,
}


class KilnThing:
    """An opened one."""

    capability = CAPABILITY

    def __init__(self, clock: Callable[[], float], host: str, port: int, password: str) -> None:
        self.host, self.port = host, port
        self._clock, self.password = clock, password
        self._lock = asyncio.Lock()
        self.read: tuple[float, dict[str, Any], dict[str, Any]] | None = None
        self._shares: dict[str, int] | None = None

    async def snapshot(self) -> dict[str, Any]:
        async with self._lock:
            live = await self.ask("GET", "/live")
            read_at, hello, conf = await self.slow()
            age_ms = int((self._clock() - read_at) * 1_000)
            try:
                return self.said(live, hello, conf, age_ms)
            except (LookupError, TypeError, ValueError) as e:
                raise headframe.BadReply(f"the reply lacks something: {type(e).__name__}") from e

    async def slow(self) -> tuple[float, dict[str, Any], dict[str, Any]]:
        """What is read now and then: when, who it is, and its settings."""
        if self.read is None or self._clock() - self.read[0] >= REFRESH_S:
            self.read = (self._clock(), await self.ask("GET", "/hello"), await self.ask("GET", "/conf"))
        return self.read

    def said(self, live: Any, hello: Any, conf: Any, age_ms: int) -> dict[str, Any]:
        stats, missing = measured(live, conf)
        totals = {"accepted": "ok", "rejected": "bad", "stale": "late"}
        shares = {name: sum(pool[wire] for pool in live["pools"]) for name, wire in totals.items()}
        if self._shares is None:
            missing["stats.all_pools_shares"] = "derived"
        else:
            before = self._shares
            stats["all_pools_shares"] = {name: now - before[name] if now >= before[name] else now for name, now in shares.items()}
        self._shares = shares
        info = {"make": "Kiln", "model": hello["model"], "firmware": hello["firmware"], "mac": hello["mac"]}
        return {
            "success": True,
            "raw_errors": stats["errors"],
            "stats": stats,
            "config": settings(hello, conf),
            "info": {**info, "model_known": True, "boards_expected": 3, "fans_expected": 2},
            "missing": missing,
            "age_ms": {"live": 0, "settings": age_ms},
        }

    async def observe(self, action: str) -> dict[str, Any]:
        hello, conf = await self.ask("GET", "/hello"), await self.ask("GET", "/conf")
        shown: dict[str, Any] = {"identity": {"mac": hello["mac"]}}
        if action == "setPowerMode":
            shown["now"] = {"name": action, "args": MODES[conf["mode"]]}
        elif action == "setLED":
            shown["now"] = {"name": action, "args": conf["led"] == 1}
        elif action == "setupPools":
            pools = [{"url": pool["url"], "username": pool["user"]} for pool in conf["pools"]]
            shown.update(now={"name": action, "args": pools}, version=conf["rev"])
        elif action == "reboot":
            shown["uptimeS"] = (await self.ask("GET", "/live"))["up"]
        return shown

    async def execute(self, action: str, params: list[Any]) -> dict[str, Any]:
        path, body = await self.write(action, params)
        self.read = None
        try:
            reply = await self.ask("POST", path, body)
        except headframe.BadReply as e:
            # It may have it.
            raise headframe.BadReply(str(e), sent="maybe") from e
        return {"requests": [f"POST {path}"], "reply": json.dumps(reply)}

    async def write(self, action: str, params: list[Any]) -> tuple[str, dict[str, Any]]:
        """What a command is on the wire."""
        if action == "setPowerMode":
            return "/mode", {"mode": WIRE_MODES[params[0]]}
        if action == "setLED":
            return "/led", {"led": int(params[0])}
        if action == "setupPools":
            pools = params[0]["config"]["poolUrls"]
            given = [{"url": pool["url"], "user": pool["workerName"], "pass": pool["workerPassword"]} for pool in pools]
            return "/pools", {"rev": (await self.ask("GET", "/conf"))["rev"], "pools": given}
        return "/restart", {}

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One request over a connection of its own."""
        sent = b"" if body is None else json.dumps(body).encode()
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nX-Key: {self.password}\r\nContent-Length: {len(sent)}\r\n\r\n"
            writer.write(head.encode() + sent)
            status, reply = answer(await whole(reader))
        finally:
            writer.close()
        if status == 401:
            raise headframe.Unauthenticated("the password is wrong")
        if status == 409:
            raise headframe.Conflict("the pools were changed meanwhile")
        if status != 200:
            raise headframe.BadReply(f"{path} is answered {status}")
        return reply


class Kiln:
    """The driver."""

    id = "kiln"
    make = "Kiln"
    docs = DOCS
    probes: Any = (
        {"get": "/hello", "says": "kiln", "at": "/device", "model": "/model", "firmware": "/firmware", "mac": "/mac"},
    )

    def __init__(self, clock: Callable[[], float] = time.monotonic, thing: type[KilnThing] = KilnThing) -> None:
        self._clock = clock
        self._thing = thing

    async def open(self, opts: dict[str, Any]) -> KilnThing:
        host, port = option(opts, "address", str), option(opts, "port", int, 80)
        return self._thing(self._clock, host, port, option(opts, "password", str, "kiln"))


def option(opts: dict[str, Any], name: str, kind: type, usual: Any = None) -> Any:
    """An option, or the usual value; its value is never shown."""
    given = opts.get(name, usual)
    if not isinstance(given, kind):
        why = "is missing" if given is None else "has the wrong type"
        raise headframe.Invalid(f"the option '{name}' {why}", context={"field": name})
    return given


def measured(live: Any, conf: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Measured values, and why some are missing."""
    boards = live["boards"]
    rate = sum(board["ghs"] for board in boards) * 1_000
    stats: dict[str, Any] = {
        "status": "mining" if live["hashing"] else "sleeping",
        "state": "hashing" if live["hashing"] else "idle",
        "is_mining": live["hashing"],
        "errors": [{"code": str(code)} for code in live["errors"]],
        "uptime_ms": live["up"] * 1_000,
        "hashrate_mhs": {"realtime": rate},
        "nominal_hashrate_mhs": conf["plate"]["ghs"] * 1_000,
        "frequency_mhz": {
            "avg": sum(board["mhz"] for board in boards) / len(boards),
            "chips": [{"index": at, "current": board["mhz"]} for at, board in enumerate(boards)],
        },
        "temperature_c": {
            "max": max(board["chip"] for board in boards) / 10,
            "chips": [{"index": at, "max": board["chip"] / 10} for at, board in enumerate(boards)],
            "pcb": [{"index": at, "current": board["pcb"] / 10} for at, board in enumerate(boards)],
        },
        "pool_status": [
            {
                "pool": pool["url"],
                "accepted": pool["ok"],
                "rejected": pool["bad"],
                "stale": pool["late"],
                "active": pool["works"],
            }
            for pool in live["pools"]
        ],
        "boards": [
            {
                "slot": board["slot"],
                "hashrate_mhs": board["ghs"] * 1_000,
                "frequency_mhz": board["mhz"],
                "temperature_c": board["pcb"] / 10,
                "chip_max_c": board["chip"] / 10,
                "hw_errors": board["faults"],
            }
            for board in boards
        ],
        "fans": [{"name": str(at), "rpm": rpm} for at, rpm in enumerate(live["fans"])],
    }
    missing = {}
    if live["watts"] < 0:
        missing = {"stats.power_w": "sentinel", "stats.efficiency_w_ths": "derived"}
    else:
        stats["power_w"] = live["watts"]
        if rate > 0:
            stats["efficiency_w_ths"] = live["watts"] / (rate / 1e6)
        else:
            missing["stats.efficiency_w_ths"] = "derived"
    return stats, missing


def settings(hello: Any, conf: Any) -> dict[str, Any]:
    net = conf["net"]
    return {
        "network_config": {
            "mode": "dhcp" if net["dhcp"] else "static",
            "ip_address": net["ip"],
            "ip_netmask": net["mask"],
            "ip_gw": net["gw"],
        },
        "pool_config": [{"url": pool["url"], "username": pool["user"]} for pool in conf["pools"]],
        "power_mode": MODES[conf["mode"]],
        "suspended": conf["mode"] == "off",
        "led_status": conf["led"] == 1,
        "firmware_ver": hello["firmware"],
    }


async def whole(reader: asyncio.StreamReader) -> bytes:
    """A reply, up to its end."""
    reply = b""
    while more := await reader.read(LONGEST_REPLY):
        reply += more
        if len(reply) > LONGEST_REPLY:
            raise headframe.BadReply("the reply does not end")
        head, found, body = reply.partition(b"\r\n\r\n")
        if found and len(body) >= length(head):
            break
    return reply


def length(head: bytes) -> int:
    """How long a reply is going to be; more than any for one that does not say."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:") and line[15:].strip().isdigit():
            return int(line[15:])
    return LONGEST_REPLY + 1


def answer(reply: bytes) -> tuple[int, Any]:
    """The status and the JSON of a reply."""
    head, _, body = reply.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if words[0] != b"HTTP/1.1" or len(words) < 2 or not words[1].isdigit() or len(body) != length(head):
        raise headframe.BadReply("it answers what is no reply")
    try:
        return int(words[1]), json.loads(body)
    except ValueError:
        raise headframe.BadReply("the reply is no JSON") from None
