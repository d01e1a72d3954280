"""Values that nobody expects."""

from __future__ import annotations

import asyncio
import collections
import datetime
import decimal
import enum
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn


class Unspeakable(Exception):
    """An error that cannot be told."""

    def __str__(self) -> str:
        raise self


def _fails(*_: Any, **__: Any) -> NoReturn:
    raise Unspeakable


def _agrees(*_: Any) -> Any:
    return True


_MEMBERS = (
    "bool", "call", "contains", "enter", "eq", "float", "format", "fspath", "ge", "getattr", "getitem", "gt", "hash", "index", "int",
    "iter", "le", "len", "lt", "ne", "next", "repr", "reversed", "str", "sub",
)

Fails: Any = type("Fails", (), {f"__{name}__": _fails for name in _MEMBERS} | {"keys": _fails, "items": _fails, "encode": _fails})
"""Whatever is asked of it, it raises."""


class Lies:
    """Says that it is of a type that it is not."""

    def __init__(self, of: type) -> None:
        self._of = of

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._of


class Looked:
    """Raises where somebody looks at what it is."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise Unspeakable


class Text(str):
    """A text that says something else of itself."""

    __slots__ = ()
    __eq__ = __ne__ = __contains__ = __iter__ = __str__ = __repr__ = encode = _fails
    __hash__ = str.__hash__


class Whole(int):
    """A number that says something else of itself."""

    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = _agrees
    __index__ = __int__ = __str__ = __repr__ = __hash__ = _fails


class Number(float):
    """A fraction that says something else of itself."""

    __float__ = __int__ = __str__ = __repr__ = __eq__ = __lt__ = _fails
    __hash__ = _fails


class Dict(dict[Any, Any]):
    """A dict that is not what it says."""

    __iter__ = __getitem__ = __len__ = keys = values = items = get = _fails


class List(list[Any]):
    """A list that is not what it says."""

    __iter__ = __getitem__ = __len__ = _fails


class Endless(Mapping[Any, Any]):
    """A mapping whose keys have no values."""

    def __getitem__(self, key: Any) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(["user", [], None])

    def __len__(self) -> int:
        return -1


class PathOf:
    """A path that is what it was given."""

    def __init__(self, told: Any) -> None:
        self._told = told

    def __fspath__(self) -> Any:
        return self._told


class Described:
    """A driver, of which one thing is odd."""

    id = "described"
    open: Any = dict

    def __init__(self, **odd: Any) -> None:
        vars(self).update(odd)


class Kind(enum.Enum):
    """One of a few."""

    ONE = "one"


def broken() -> Iterator[Any]:
    """Gives one, and raises."""
    yield {"id": "x"}
    raise Unspeakable


def cyclic() -> dict[str, Any]:
    """A dict that has itself."""
    ring: dict[str, Any] = {}
    ring["ring"] = [ring]
    return ring


def deep(depth: int = 20_000) -> Any:
    """Lists and dicts in one another."""
    inner: Any = 0
    for n in range(depth):
        inner = [inner] if n % 2 else {"a": inner}
    return inner


def _nan() -> float:
    return float("nan")


VALUES: tuple[Callable[[], Any], ...] = (
    *(
        lambda value=value: value
        for value in (
            None, True, False, Ellipsis, NotImplemented, 0, -1, 1, 0.5, -0.0, 2**31, 2**32 - 1, 2**32, 2**53, 2**63, 2**64 - 1, 2**64,
            -(2**63), 10**400, 10**5_000, 1j, float("inf"), float("-inf"), "", "ann@site", "open", "rack", "odd", "whatsminer", "\0",
            "\ud800", "é\U0001f600", "x" * 300_000, "1" * 5_000, b"", b"open", b"\xff", range(3), frozenset({1}), object, type, len,
            sys, Unspeakable, Unspeakable(), Kind.ONE, decimal.Decimal("NaN"), decimal.Decimal(1), datetime.date(1, 1, 1),
            datetime.timedelta.max, Path("nowhere/at/all"), Path("x\0y"), asyncio.CancelledError(), KeyboardInterrupt,
        )
    ),
    _nan, object, list, dict, set, bytearray, Fails, Endless, Looked, broken, cyclic, deep, collections.UserDict, collections.deque,
    lambda: Text("ann@site"), lambda: Text("\ud800"), lambda: Whole(7), lambda: Whole(2**70), lambda: Number(1.5), lambda: Dict(a=1),
    lambda: List([{"id": "x"}]), lambda: Lies(str), lambda: Lies(dict), lambda: Lies(int), lambda: Lies(list), lambda: memoryview(b"x"),
    lambda: types.MappingProxyType({"a": _nan()}), lambda: collections.defaultdict(list), lambda: (_ for _ in ()), lambda: iter([7]),
    lambda: PathOf(b"x"), lambda: PathOf(7), lambda: PathOf("\ud800"), lambda: PathOf(Text("x")), lambda: {Text("user"): 1},
    lambda: {"\udfff": 1}, lambda: {(1, 2): 3}, lambda: {1: 2, None: 3}, lambda: {"a": {1, 2}}, lambda: {"a": b"x"}, lambda: [cyclic()],
    lambda: [_nan()], lambda: {"query": {"$where": 1}}, lambda: {"limit": 2**64 - 1}, lambda: {"limit": True},
    lambda: {"query": {"a": {"$regex": "(a+)+$"}}}, lambda: [{"id": "x", "info": {}, "opts": {}}], lambda: {"approve": True},
    lambda: {"approve": "yes", "digest": 7}, lambda: {"action": "reboot", "query": {}, "params": []}, lambda: {"name": "reboot"},
    lambda: {"kind": "hang"}, lambda: {"things": {"ids": ["a"]}, "metric": "m", "from": 0, "to": 1},
    lambda: {"user": "a", "permissions": ["*:rw"]}, lambda: {"ports": {"rpc": 70_000}}, lambda: {"kind": "cut", "after": -1},
    lambda: {"kind": "garbage"}, lambda: {"kind": "slow", "delayMs": 2**64 - 1}, lambda: {"from": -(2**63), "to": 2**63 - 1},
)
"""What makes each."""
