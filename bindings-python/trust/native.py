"""The native part, called with anything. Nobody gets at it; it has to stand all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from headframe import _headframe as native
from headframe import sync

from trust.account import Account
from trust.world import ANN, Pick, World

Any_ = Callable[[], Any]

_NEVER = {"end", "close", "stop", "halt", "__class__", "__setattr__", "__delattr__", "__init_subclass__", "__getattribute__"}
"""They would end what others use, or change what they are."""
_SOON = {"call", "list", "register", "series", "series_table", "readings", "action", "push", "preview", "vote", "change", "backup"}
"""What answers soon, whatever it is given."""
_TEXTS = (
    "{}", "[]", "null", "7", '"x"', '{"query": {}}', '{"a":' * 5_000, "[" * 100_000, "1e999", '{"limit": 18446744073709551615}', "{\0}",
    ANN, "open", "create", "whatsminer", "odd", "10.0.0.0/30", '{"name": "reboot"}', '{"user": "a", "permissions": ["*:rw"]}',
)


def _raises(*_: Any) -> Any:
    raise ValueError("no")


def _twice(op: str, thing: int, question: str, answer: Callable[[str], bool]) -> Any:
    answer('{"ok": {"thing": 4294967295}}')
    answer("x")
    return 7


def _nonsense(op: str, thing: int, question: str, answer: Callable[[Any], bool]) -> Any:
    for told in ("", "{}", "[" * 100_000, '{"ok": {"thing": -1}}'):
        answer(told)
    answer(object())


def _silent(*_: Any) -> Any:
    return _raises


_ASKS: tuple[Any, ...] = (None, 7, _raises, _twice, _nonsense, _silent, native.NativeDrivers)


async def raw(account: Account, of: World, pick: Pick, any: Any_) -> None:
    """Calls some of it with anything."""
    if pick(6) == 0:
        await _driver(account, of, pick)
        return
    of_what = _targets(account, of)[pick(16)]
    if of_what is None:
        return
    names = [name for name in dir(of_what) if name not in _NEVER and not (isinstance(of_what, type(native)) and name[0] == "_")]
    name = names[pick(len(names))]
    with account.standing(f"native {name}"):
        args = [(any() if pick(2) else _TEXTS[pick(len(_TEXTS))]) for _ in range(pick(5))]
        told = getattr(of_what, name)(*args)
        if isinstance(told, native.Call):
            await _ended(account, of, pick, name, told)


def _targets(account: Account, of: World) -> list[Any]:
    handles = [of.site, of.site, of.site, of.closed, of.device, of.odd, of.shut, of.simulator, of.gone]
    streams: list[Any] = [None, None]
    with account.standing("native reader"):
        streams = [of.site.subscribe()._native, of.site.actions.watch()._native]
    classes = [native.Reading, native.Snapshot, native.Table, native.Call]
    return [*(handle._native for handle in handles), *streams, *classes, native]


async def _ended(account: Account, of: World, pick: Pick, name: str, call: native.Call) -> None:
    """Waits for a call, in one of many ways, or lets go of it."""
    way = pick(4)
    if way == 0:
        return
    if way == 1:
        next(call)
    elif of.face is not sync:
        told = await asyncio.wait_for(call, 0.2)
        if isinstance(told, native.NativeScan):
            told.take()
            await asyncio.wait_for(told.ready(), 0.2)
    elif name in _SOON:
        call.wait()
        call.wait()


async def _driver(account: Account, of: World, pick: Pick) -> None:
    """A driver that keeps to less than any of ours."""
    drivers = native.NativeDrivers()
    with account.standing("native driver"):
        about = ('{"id": "ours", "kind": "miner", "make": "x", "docs": "", "probes": []}', *_TEXTS)[pick(3)]
        drivers.add(about, _ASKS[pick(len(_ASKS))])
        call = drivers.open_device("ours", "{}")
        if of.face is not sync:
            device = await asyncio.wait_for(call, 0.2)
            await asyncio.wait_for(device.snapshot(20), 1)


def looked_into(account: Account, pick: Pick, any: Any_, value: Any) -> None:
    """Asks a snapshot, a reading or a table anything."""
    for _ in range(4):
        name = (names := [name for name in dir(value) if name not in _NEVER])[pick(len(names))]
        with account.standing(f"{type(value).__name__}.{name}"):
            getattr(value, name)(*(any() for _ in range(pick(3))))
    for use in (_asked_for, _counted, _streamed):
        with account.standing(f"{type(value).__name__}, {use.__name__}"):
            use(value, any)


def _asked_for(value: Any, any: Any_) -> None:
    value.get("stats.power_w", any())
    value.get(any())
    any() in value
    value["stats.power_w"]
    value[any()]


def _counted(value: Any, any: Any_) -> None:
    repr(value)
    hash(value)
    value == any()
    len(value)


def _streamed(value: Any, any: Any_) -> None:
    value.__arrow_c_stream__(any())


