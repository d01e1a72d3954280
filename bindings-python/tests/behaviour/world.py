"""What a case has around it, and how its steps are done."""

from __future__ import annotations

import ipaddress
import os
import shutil
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any

from headframe import HeadframeError, Invalid

from .case import only, resolve, within
from .face import Face
from .pattern import Fault, differences, known, shown

WITHIN = 60
"""How long a step may take, in seconds."""
ENDED = ("COMPLETED", "PARTIAL", "FAILED", "DENIED", "CANCELLED", "EXPIRED")
"""What an action is when nothing more becomes of it."""
DEVICES = ("seed", "whatsminers", "antminers", "cold")
"""What a case may say of its devices."""
TOLD = ("code", "kind", "op", "sent", "retryable", "context")

Given = dict[str, Any]


class World:
    """A case's device, site and simulator, on one face of the package."""

    def __init__(self, face: Face, folder: str, net: str, common: Mapping[str, Any]) -> None:
        self.face = face
        self.simulator: Any = None
        self._device: Any = None
        self._site: Any = None
        self._words = {"dir": folder, "net": net}
        self._saved = dict(common)

    async def play(self, told: Given) -> None:
        """Does all steps; raises what is wrong with the first that is not as expected."""
        if "devices" in told:
            await self.face.bounded(self._start(told["devices"]), WITHIN)
        if "site" in told:
            made = {"folder": os.path.join("{dir}", "site"), "conf": told["site"], "how": "create"}
            await self._answer("site.open", made)
        for at, step in enumerate(told["steps"]):
            with within(at, step):
                await self._step(step)

    async def end(self) -> None:
        """Ends what the case left behind."""
        async with AsyncExitStack() as ends:
            for handle in (self.simulator, self._site, self._device):
                if handle is not None:
                    ends.push_async_callback(self.face.bounded, self.face.closed(handle), WITHIN)

    @property
    def device(self) -> Any:
        return _opened(self._device)

    @property
    def site(self) -> Any:
        return _opened(self._site)

    async def take_device(self, device: Any) -> None:
        """The device to speak to from now on."""
        before, self._device = self._device, device
        if before is not None:
            await self.face.closed(before)

    async def take_site(self, site: Any) -> None:
        """The site to speak to from now on."""
        before, self._site = self._site, site
        if before is not None:
            await self.face.closed(before)

    async def _start(self, devices: Any) -> None:
        conf = self._resolved(devices)
        only(conf, DEVICES)
        start = self.face.package.Simulator.start
        self.simulator = await self.face.done(lambda: start(**conf, base=f"{self._words['net']}.1"))

    def _resolved(self, told: Any) -> Any:
        return resolve(told, self._saved, self._words)

    async def _step(self, step: Given) -> None:
        expected, refused = self._resolved(step.get("expect")), self._resolved(step.get("error"))
        try:
            answer = await self._answer(step["do"], step.get("with", {}))
        except HeadframeError as e:
            told = {"message": str(e), **{name: getattr(e, name) for name in TOLD}}
            if "error" not in step:
                raise Fault(f"the error {shown(told)}") from e
            return _like(refused, told)
        if "error" in step:
            raise Fault(f"should be the error {shown(refused)}, is {shown(answer)}")
        if "expect" in step:
            _like(expected, answer)
        if "as" in step:
            self._saved[step["as"]] = answer

    async def _answer(self, verb: str, given: Given) -> Any:
        return await self.face.bounded(VERBS[verb](self, self._resolved(given)), WITHIN)


def _opened(handle: Any) -> Any:
    if handle is None:
        raise Fault("the case has not opened it")
    return handle


def _like(pattern: object, value: object) -> None:
    if found := differences(pattern, value):
        raise Fault("; ".join(found))


def _by_address(told: list[Any], of: Callable[[Any], str]) -> None:
    told.sort(key=lambda one: ipaddress.IPv4Address(of(one)))


def _options(given: Given, **names: str) -> Given:
    """What of these members was given, by the names that Python has for them."""
    return {name: given[member] for name, member in names.items() if member in given}


async def _discover(world: World, given: Given) -> Any:
    options = _options(given, ports="ports", deadline_ms="deadlineMs", concurrency="concurrency")
    found: Given = {"devices": [], "unknown": []}
    async for told in world.face.each(world.face.package.discover(given["range"], **options)):
        event = told.pop("event")
        if event == "summary":
            found["summary"] = told["report"]
        else:
            found["devices" if event == "device" else "unknown"].append(told)
    _by_address(found["devices"], lambda device: str(device["address"]))
    _by_address(found["unknown"], lambda host: str(host["address"]))
    return found


async def _open_device(world: World, given: Given) -> None:
    opened = world.face.package.open_device
    await world.take_device(await world.face.done(lambda: opened(given["driver"], given["opts"])))


async def _capability(world: World, _: Given) -> Any:
    return world.device.capability()


async def _snapshot(world: World, given: Given) -> Any:
    device, options = world.device, _options(given, within_ms="withinMs")
    said = await world.face.done(lambda: device.snapshot(**options))
    return said.as_dict()


async def _execute(world: World, given: Given) -> Any:
    device, command, options = world.device, given["command"], _options(given, within_ms="withinMs")
    # To Python a command is a name and perhaps a value.
    if not isinstance(command, dict) or "name" not in command or set(command) - {"name", "args"}:
        raise Invalid("command: cannot be passed", context={"field": "command"})
    return await world.face.done(lambda: device.execute(command["name"], command.get("args"), **options))


async def _close_device(world: World, _: Given) -> None:
    await world.face.closed(world.device)


async def _open_site(world: World, given: Given) -> Any:
    opened, options = world.face.package.Site.open, _options(given, how="how")
    site = await world.face.done(lambda: opened(given["folder"], given["conf"], **options))
    await world.take_site(site)
    return {"id": site.id}


async def _register(world: World, given: Given) -> Any:
    site = world.site
    return await world.face.done(lambda: site.register(given["rack"], given["things"], given["by"]))


async def _find(world: World, given: Given) -> Any:
    site, options = world.site, _options(given, ports="ports", logins="logins")
    report = await world.face.done(lambda: site.find(given["range"], given["by"], **options))
    _by_address(report["known"], str)
    _by_address(report["refused"], lambda host: str(host["address"]))
    return report


async def _list(world: World, given: Given) -> Any:
    site = world.site
    return await world.face.done(lambda: site.list(given.get("query")))


async def _call(world: World, given: Given) -> Any:
    site = world.site
    return await world.face.done(lambda: site.call(given["who"], given["method"], given.get("params")))


async def _series(world: World, given: Given) -> Any:
    site = world.site
    return await world.face.done(lambda: site.series(given["query"]))


async def _readings(world: World, given: Given) -> Any:
    match, things, each = given.get("match", {}), given.get("things", 1), given.get("each", 1)
    known(match)
    got: list[Any] = []
    whose: Counter[str] = Counter()
    stream = world.site.subscribe()
    async with aclosing(world.face.each(stream)) as batches:
        async for batch in batches:
            for told in (reading.as_dict() for reading in batch):
                if not differences(match, told) and not _enough(whose, things, each):
                    got.append(told)
                    whose[told["thing"]] += 1
            if _enough(whose, things, each):
                break
    await world.face.closed(stream)
    return got


def _enough(whose: Counter[str], things: int, each: int) -> bool:
    return sum(count >= each for count in whose.values()) >= things


async def _counts(world: World, _: Given) -> Any:
    return world.site.counts()


async def _backup(world: World, given: Given) -> Any:
    site = world.site
    return await world.face.done(lambda: site.backup(given["folder"]))


async def _restore(world: World, given: Given) -> Any:
    restored = world.face.package.Site.restore
    return await world.face.done(lambda: restored(given["from"], given["to"]))


async def _close_site(world: World, given: Given) -> Any:
    return await world.face.closed(world.site, **_options(given, within_ms="withinMs"))


async def _preview(world: World, given: Given) -> Any:
    actions = world.site.actions
    return await world.face.done(lambda: actions.preview(given["draft"], given["by"]))


async def _push(world: World, given: Given) -> Any:
    actions = world.site.actions
    return await world.face.done(lambda: actions.push(given["draft"], given["by"]))


async def _vote(world: World, given: Given) -> Any:
    actions = world.site.actions
    return await world.face.done(lambda: actions.vote(given["id"], given["ballot"], given["by"]))


async def _cancel(world: World, given: Given) -> Any:
    actions = world.site.actions
    return await world.face.done(lambda: actions.cancel(given["id"], given["by"]))


async def _get(world: World, given: Given) -> Any:
    actions = world.site.actions
    return await world.face.done(lambda: actions.get(given["id"]))


async def _settled(world: World, given: Given) -> Any:
    changes = world.site.actions.watch()
    view = await _get(world, given)
    async with aclosing(world.face.each(changes)) as told:
        while view is None or view["status"] not in ENDED:
            change = await anext(told)
            if change.get("id") == given["id"] or "missed" in change:
                view = await _get(world, given)
    await world.face.closed(changes)
    return view


def _simulated(world: World) -> Any:
    if world.simulator is None:
        raise Fault("the case has no devices")
    return world.simulator


async def _devices(world: World, _: Given) -> Any:
    return _simulated(world).devices()


async def _truth(world: World, given: Given) -> Any:
    return _simulated(world).truth(given["index"])


async def _fault(world: World, given: Given) -> None:
    _simulated(world).fault(given["index"], given["fault"])


async def _clear(world: World, given: Given) -> None:
    _simulated(world).clear(given["index"])


async def _copy(_: World, given: Given) -> None:
    shutil.copy(given["from"], given["to"])


VERBS: dict[str, Callable[[World, Given], Coroutine[Any, Any, Any]]] = {
    "discover": _discover,
    "device.open": _open_device,
    "device.capability": _capability,
    "device.snapshot": _snapshot,
    "device.execute": _execute,
    "device.close": _close_device,
    "site.open": _open_site,
    "site.register": _register,
    "site.find": _find,
    "site.list": _list,
    "site.call": _call,
    "site.series": _series,
    "site.readings": _readings,
    "site.counts": _counts,
    "site.backup": _backup,
    "site.restore": _restore,
    "site.close": _close_site,
    "actions.preview": _preview,
    "actions.push": _push,
    "actions.vote": _vote,
    "actions.cancel": _cancel,
    "actions.get": _get,
    "actions.settled": _settled,
    "simulator.devices": _devices,
    "simulator.truth": _truth,
    "simulator.fault": _fault,
    "simulator.clear": _clear,
    "file.copy": _copy,
}
"""What each verb does, with the world of the case."""
