"""Calls of anything with anything, through either package."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from headframe import HeadframeError, sync

from trust.account import BOUND_S, Account
from trust.collected import dies
from trust.native import looked_into, raw
from trust.values import VALUES, Described, cyclic
from trust.world import ANN, BOB, PORTS, RIGHTS, WITHIN_MS, Pick, World, closing, given, leave, plainly, read

AT_ONCE = 12
"""How many calls of an event loop are under way at once."""
METHODS = (
    "echo", "ping", "listRacks", "getWrkConf", "getThingConf", "getWrkSettings", "saveWrkSettings", "listThings", "getThingsCount",
    "registerThing", "updateThing", "forgetThings", "saveThingComment", "getHistoricalLogs", "tailLog", "tailLogMulti", "getWrkExtData",
    "mergeThings", "getThingMap", "setThingMap", "getGlobalConfig", "setGlobalConfig", "pushAction", "voteAction", "withdrawVote",
    "getAction", "queryActions", "pauseAction", "stopAction", "getStops", "verifyAudit", "exportAudit", "noSuchMethod",
)

Given = tuple[tuple[Any, ...], dict[str, Any]]
Made = Callable[[], Coroutine[Any, Any, None]]
Then = Callable[[Any], Awaitable[None]]


class Entry(NamedTuple):
    """What can be called: how it is got, what it takes, and what is done with what it gives."""

    name: str
    method: Callable[[], Callable[..., Any]]
    like: Callable[[], Given]
    then: Then | None = None


def takes(*args: Any, **more: Any) -> Given:
    """What a call is given."""
    return args, more


class Drawn:
    """What calls and their arguments are drawn from."""

    def __init__(self, account: Account, of: World, pick: Pick) -> None:
        self.account = account
        self.of = of
        self.pick = pick

    def one(self, *of: Any) -> Any:
        return of[self.pick(len(of))]

    def any(self) -> Any:
        return self.one(*VALUES)()

    def by(self) -> str:
        return str(self.one(ANN, BOB, "nobody@site"))

    def who(self) -> dict[str, Any]:
        return {"user": ANN, "permissions": self.one(RIGHTS, []), "gateway": self.one(True, False)}

    def id(self) -> Any:
        return self.one(1, 2, str(self.pick(9)), time.time_ns() // 1_000_000)

    def folder(self) -> Any:
        there = self.of.folder / f"f{self.pick(6)}"
        return self.one(there, str(there))

    def range(self) -> str:
        return str(self.one(self.of.address, f"{self.of.address}/31", "127.0.0.1-127.0.0.1"))

    def series(self) -> dict[str, Any]:
        now = time.time_ns() // 1_000_000
        steps = ("raw", "whole", 1_000, {"unit": "D", "zone": "Europe/Prague"})
        things = self.one({"tag": "t-miner"}, {"ids": ["m"]})
        return {"things": things, "metric": self.one("stats.power_w", "none"), "from": now - 60_000, "to": now, "step": self.one(*steps)}

    def draft(self) -> dict[str, Any]:
        action, params = self.one("setPowerMode", "reboot"), [self.one("sleep", "low")]
        return {"action": action, "params": params, "query": self.one({}, {"tags": "t-miner"}), "why": "why"}

    def drivers(self) -> list[Any]:
        odd = {self.one("id", "kind", "make", "docs", "probes", "open"): self.any()}
        return [self.of.driver] if self.pick(3) else [Described(**odd)]

    # One handle in four is closed.
    def site(self) -> Any:
        return self.one(self.of.site, self.of.site, self.of.site, self.of.closed)

    def simulator(self) -> Any:
        return self.one(self.of.simulator, self.of.simulator, self.of.simulator, self.of.gone)

    def device(self) -> Any:
        return self.one(self.of.device, self.of.device, self.of.odd, self.of.shut)

    def spoiled(self, like: Given) -> Given:
        """The same arguments but for one, or for a member of one."""
        args, more = list(like[0]), dict(like[1])
        at = self.pick(len(args) + len(more) + 1)
        if at < len(args):
            args[at] = self._spoilt(args[at])
        elif at < len(args) + len(more):
            name = list(more)[at - len(args)]
            more[name] = self._spoilt(more[name])
        elif self.pick(2):
            args.append(self.any())
        else:
            more["nonsense"] = self.any()
        return tuple(args), more

    def _spoilt(self, value: Any) -> Any:
        if self.pick(3) == 0:
            return self.any()
        if type(value) is dict and value:
            return value | {self.one(*value): self.any()}
        if type(value) is list and value:
            return [*value[1:], self._spoilt(value[0])]
        return self.any()

    async def glance(self, stream: Any) -> None:
        """Waits a moment for what a stream gives next. One that nobody ends goes on until its site is closed."""
        if self.of.face is sync:
            threading.Timer(0.02, lambda: plainly(leave(stream))).start()
            await read(stream, 1)
            return
        nothing = asyncio.ensure_future(read(stream, 1))
        await asyncio.wait({nothing}, timeout=0.02)
        await leave(stream)
        await nothing

    async def first(self, scan: Any) -> None:
        await read(scan, 1 + self.pick(2))
        scan.stop()

    async def maybe(self, handle: Any) -> None:
        """Closes a handle, or leaves it to the collector."""
        if self.pick(2):
            await given(closing(handle)())

    def faults(self) -> Callable[..., Any]:
        """What lets a device do something wrong. It is well again soon: a search that meets one that hangs takes long."""
        threading.Timer(0.2, self._well).start()
        fault: Callable[..., Any] = self.simulator().fault
        return fault

    def _well(self) -> None:
        for index in range(2):
            with self.account.standing("simulator.clear"):
                self.of.simulator.clear(index)

    async def look(self, value: Any) -> None:
        looked_into(self.account, self.pick, self.any, value)


def sites(d: Drawn) -> list[Entry]:
    """What can be called of a site."""

    def on(verb: str, like: Callable[[], Given], then: Then | None = None) -> Entry:
        return Entry(f"site.{verb}", lambda: getattr(d.site(), verb), like, then)

    def things() -> list[dict[str, Any]]:
        return [{"id": d.one("x", "z"), "opts": {"address": "127.0.0.1"}, "info": {}}]

    def logins() -> list[dict[str, Any]]:
        return [{"driver": "whatsminer", "opts": {"password": d.one("admin", "wrong")}}]

    def params() -> Any:
        return d.one({}, {"type": "miner-wm"}, {"id": "m", "rackId": "miner-wm-a"})

    def statistics() -> Given:
        return takes({"type": "miner", "tag": "t-miner", "key": d.one("stat-rtd", "stat-1m", "none")})

    def readings() -> Given:
        members = d.one(None, ["stats.power_w"], ["none"])
        return takes(["m", "x"], start=0, end=d.one(2**40, 2**53), members=members, texts=d.one(True, False))

    return [
        on("call", lambda: takes(d.who(), d.one(*METHODS), params())),
        on("register", lambda: takes("miner-odd-b", things(), d.by())),
        on("find", lambda: takes(d.range(), d.by(), ports=PORTS, logins=logins())),
        on("list", lambda: takes({"query": {}, "status": True, "limit": d.pick(5)})),
        on("series", lambda: takes(d.series())),
        on("series_table", lambda: takes(d.series()), d.look),
        on("statistics", statistics),
        on("readings", readings, d.look),
        on("counts", takes),
        on("backup", lambda: takes(d.folder())),
        Entry("site.id", lambda: lambda: d.site().id, takes),
        on("subscribe", lambda: takes(capacity=1 + d.pick(8), most=d.pick(3)), d.glance),
    ]


def actions(d: Drawn) -> list[Entry]:
    """What can be called of actions."""

    def on(verb: str, like: Callable[[], Given], then: Then | None = None) -> Entry:
        return Entry(f"actions.{verb}", lambda: getattr(d.site().actions, verb), like, then)

    def query() -> Given:
        kinds = ("voting", "ready", "executing", "done", "none")
        return takes(d.one(*kinds), filter=d.one(None, {}), limit=d.pick(5), reverse=d.one(True, False))

    return [
        on("push", lambda: takes(d.draft(), d.by())),
        on("preview", lambda: takes(d.draft(), d.by())),
        on("vote", lambda: takes(d.id(), {"approve": d.one(True, False)}, d.by())),
        *(on(verb, lambda: takes(d.id(), d.by())) for verb in ("cancel", "withdraw", "resume")),
        *(on(verb, lambda: takes(d.id(), d.by(), d.one("why", None))) for verb in ("pause", "stop")),
        on("query", query),
        on("get", lambda: takes(d.id())),
        on("watch", takes, d.glance),
    ]


def others(d: Drawn) -> list[Entry]:
    """What else can be called."""
    of, face = d.of, d.of.face

    def on(verb: str, like: Callable[[], Given]) -> Entry:
        return Entry(f"simulator.{verb}", lambda: getattr(d.simulator(), verb), like)

    def fault() -> dict[str, Any]:
        more: dict[str, Any] = {"cut": {"after": d.pick(9)}, "slow": {"delayMs": 9}}
        kind = d.one("hang", "garbage", "cut", "slow")
        return {"kind": kind, **more.get(kind, {})}

    def opened() -> Given:
        opts = {**of.opts, "odd": d.one(True, False)}
        return takes(d.one("whatsminer", "antminer", "odd", "none"), opts, drivers=d.drivers())

    def devices() -> Given:
        return takes(base=of.address, by_port=d.one(None, 20_000 + d.pick(20_000)), whatsminers=d.pick(3), antminers=d.pick(2))

    def scan() -> Given:
        more = {"deadline_ms": d.pick(400), "concurrency": d.pick(9), "drivers": d.one(None, d.drivers())}
        return takes(d.range(), ports=PORTS, **more)

    def site() -> Given:
        return takes(d.folder(), d.one(of.conf, {}), how=d.one("open", "create", "openOrCreate"), drivers=d.drivers())

    return [
        on("truth", lambda: takes(d.pick(3))),
        Entry("simulator.fault", d.faults, lambda: takes(d.pick(3), fault())),
        on("clear", lambda: takes(d.pick(3))),
        on("devices", takes),
        Entry("device.capability", lambda: d.device().capability, takes),
        Entry("device.snapshot", lambda: d.device().snapshot, lambda: takes(within_ms=d.pick(WITHIN_MS)), d.look),
        Entry("device.execute", lambda: d.device().execute, lambda: takes("setPowerMode", d.one("low", None), within_ms=WITHIN_MS)),
        Entry("Site.open", lambda: face.Site.open, site, d.maybe),
        Entry("Site.restore", lambda: face.Site.restore, lambda: takes(d.folder(), d.folder())),
        Entry("open_device", lambda: face.open_device, opened, d.maybe),
        Entry("Simulator.start", lambda: face.Simulator.start, devices, d.maybe),
        Entry("discover", lambda: face.discover, scan, d.first),
        *[Entry("native", lambda: lambda *_, **__: raw(d.account, of, d.pick, d.any), takes)] * 3,
        Entry("collected", lambda: lambda *_, **__: dies(d.account, of), takes),
    ]


class Caller:
    """Calls anything with anything, one call after another. The order comes from ``pick``."""

    def __init__(self, account: Account, of: World, pick: Pick) -> None:
        self._drawn = Drawn(account, of, pick)
        self._all = [*sites(self._drawn), *actions(self._drawn), *others(self._drawn)]
        self._rare = certain(of)
        self._count = 0

    def next(self) -> Coroutine[Any, Any, None]:
        d = self._drawn
        self._count += 1
        if self._rare and self._count % 3 == 0:
            return expected(d.account, d.of, *self._rare.pop(0))
        entry = d.one(*self._all)
        args, more = d.one(lambda: takes(*(d.any() for _ in range(d.pick(4)))), entry.like, lambda: d.spoiled(entry.like()))()
        return self._called(entry, args, self._soon(entry, more))

    @staticmethod
    def _soon(entry: Entry, more: dict[str, Any]) -> dict[str, Any]:
        """Gives a device no more time than a check has."""
        within = more.get("within_ms")
        is_long = entry.name.startswith("device.") and (within is None or type(within) is int and within > WITHIN_MS)
        return {**more, "within_ms": WITHIN_MS} if is_long and entry.name != "device.capability" else more

    async def _called(self, entry: Entry, args: tuple[Any, ...], more: dict[str, Any]) -> None:
        d = self._drawn
        method = entry.method()
        with d.account.call(entry.name, method, args, more):
            told = method(*args, **more)
            given_up = d.of.face is not sync and d.pick(4) == 0
            told = await (self._given_up(told) if given_up else given(told))
            if entry.then is not None and told is not None:
                await entry.then(told)

    async def _given_up(self, told: Any) -> Any:
        """Gives a call up: its task is cancelled, or it has too little time."""
        d, reached = self._drawn, self._drawn.account.reached
        if not asyncio.iscoroutine(told):
            return told
        if d.pick(2):
            try:
                return await asyncio.wait_for(told, d.pick(20) / 1_000)
            except asyncio.TimeoutError:
                reached.add("a call had too little time")
                return None
        task = asyncio.ensure_future(told)
        await asyncio.sleep(d.one(0, 0, 0.001, 0.01))
        task.cancel()
        await asyncio.wait({task})
        if task.cancelled():
            reached.add("a call was cancelled")
            return None
        return task.result()


def certain(of: World) -> list[tuple[str, Callable[[], Any]]]:
    """What the rare paths are reached by for certain: the kind of the error, and the call."""
    face, draft = of.face, {"action": "reboot", "query": {}, "params": []}
    told = [
        ("Closed", of.closed.list),
        ("Closed", of.closed.counts),
        ("Closed", lambda: of.closed.actions.push(draft, ANN)),
        ("Closed", of.shut.snapshot),
        ("Closed", of.shut.capability),
        ("Closed", of.gone.devices),
        ("Invalid", lambda: of.site.list(cyclic())),
        ("Invalid", lambda: read(face.discover("10.0.0.0/99"), 1)),
        ("Invalid", lambda: face.Simulator.start(whatsminers=2**40)),
        ("NotFound", lambda: of.site.register("nowhere", [], ANN)),
        ("NotFound", lambda: face.open_device("none", {})),
        ("Conflict", lambda: face.Site.open(of.folder / "site", of.conf, drivers=[of.driver])),
        ("Forbidden", lambda: of.site.call({"user": "eve", "permissions": []}, "setGlobalConfig", {})),
        ("Unsupported", lambda: of.plain.execute("reboot", within_ms=WITHIN_MS)),
        ("Timeout", lambda: of.hung.snapshot(within_ms=20)),
    ]
    if of.quits is not None:
        # The first one ends the loop, the second finds none. Beside many other threads that may take a while.
        told += [("Closed", lambda: of.quits.snapshot(within_ms=BOUND_S * 500))] * 2
    return told


async def expected(account: Account, of: World, kind: str, call: Callable[[], Any]) -> None:
    """A call that has to end with an error of a kind."""
    with account.call(f"for {kind}"):
        try:
            await given(call())
        except HeadframeError as e:
            # Others call it until it ends.
            if e.kind != kind and not (e.kind == "Closed" and of.driver.is_ending):
                raise AssertionError(f"{kind} was expected") from e
            if kind == "Closed":
                account.reached.add("a closed handle was used")
            raise
        raise AssertionError(f"{kind} was expected, and nothing is wrong")


async def hostile(account: Account, of: World, pick: Pick, calls: int) -> None:
    """Calls anything with anything, many at once."""
    caller, under_way = Caller(account, of, pick), set[asyncio.Future[None]]()
    for _ in range(calls):
        if len(under_way) >= AT_ONCE:
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        call = asyncio.ensure_future(caller.next())
        under_way.add(call)
        call.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)


def hostile_now(account: Account, of: World, pick: Pick, calls: int) -> None:
    """The same through the synchronous package, in this thread."""
    caller = Caller(account, of, pick)
    for _ in range(calls):
        plainly(caller.next())


def ending(account: Account, of: World) -> list[list[Made]]:
    """Closes everything at once, in the middle of calls, and uses it afterwards: what is done at once, and then."""
    site, device, odd, simulator = of.site, of.device, of.odd, of.simulator
    of.driver.is_ending = True

    def called(name: str, call: Callable[[], Any]) -> Made:
        async def made() -> None:
            with account.call(name):
                await given(call())

        return made

    def begun(when: str) -> list[Made]:
        return [
            called(f"{when}, site.list", site.list),
            called(f"{when}, site.backup", lambda: site.backup(of.folder / f"backup-{when}")),
            called(f"{when}, site.call", lambda: site.call({"user": ANN, "permissions": RIGHTS}, "listThings", {})),
            called(f"{when}, actions.push", lambda: site.actions.push({"action": "reboot", "query": {}}, ANN)),
            called(f"{when}, actions.halt", lambda: site.actions.halt(ANN, "why")),
            called(f"{when}, site.subscribe", lambda: read(site.subscribe())),
            called(f"{when}, actions.watch", lambda: read(site.actions.watch())),
            called(f"{when}, device.snapshot", lambda: device.snapshot(within_ms=WITHIN_MS)),
            called(f"{when}, odd.snapshot", lambda: odd.snapshot(within_ms=WITHIN_MS)),
            called(f"{when}, simulator.truth", lambda: simulator.truth(0)),
        ]

    def closed(handle: Any) -> Callable[[], Any]:
        return (lambda: closing(site)(within_ms=2_000)) if handle is site else closing(handle)

    handles = (site, site, device, odd, simulator, simulator)
    account.reached.add("closed in the middle of calls")
    return [begun("closing") + [called("close", closed(handle)) for handle in handles], begun("after")]


async def end(account: Account, of: World) -> None:
    """See ``ending``; in an event loop."""
    for at_once in ending(account, of):
        await asyncio.gather(*(call() for call in at_once))


def end_now(account: Account, of: World) -> None:
    """See ``ending``; each call in a thread of its own."""
    for at_once in ending(account, of):
        threads = [threading.Thread(target=plainly, args=(call(),)) for call in at_once]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
