"""What a driver may do instead of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import headframe
from headframe import HeadframeError

from tests.acme import said
from tests.support import cyclic, nested


def raises(error: Callable[..., BaseException], *told: Any, **about: Any) -> Callable[[], Any]:
    """Raises a new one each time: an error keeps alive what it was raised in."""

    def raised() -> Any:
        raise error(*told, **about)

    return raised


async def fails() -> Any:
    raise ConnectionResetError("late")


async def for_ever() -> Any:
    await asyncio.Event().wait()


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise self


def told_wrong(**about: Any) -> HeadframeError:
    """An error of ours that somebody spoilt."""
    error = headframe.Rejected("x")
    for name, value in about.items():
        setattr(error, name, value)
    return error


SNAPSHOTS: dict[str, tuple[Callable[[], Any], str]] = {
    **{
        kind.__name__: (raises(kind, "why"), kind.kind)
        for kind in (
            headframe.Conflict,
            headframe.Forbidden,
            headframe.NotFound,
            headframe.RateLimited,
            headframe.Rejected,
            headframe.Timeout,
            headframe.Unauthenticated,
            headframe.Unreachable,
            headframe.Unsupported,
        )
    },
    "refused": (raises(ConnectionRefusedError, "refused"), "Unreachable"),
    "reset": (fails, "Unreachable"),
    "late": (raises(TimeoutError), "Timeout"),
    "late of asyncio": (raises(asyncio.TimeoutError), "Timeout"),
    "broken": (raises(ValueError, "broken"), "BadReply"),
    "unspeakable": (raises(Unspeakable), "BadReply"),
    "half a character is told": (raises(headframe.Rejected, "\ud800"), "Rejected"),
    "a kind that is none": (raises(told_wrong, kind=cyclic(), code=object()), "BadReply"),
    "gives itself up": (raises(asyncio.CancelledError), "Closed"),
    "nothing": (lambda: None, "BadReply"),
    "a number": (lambda: 7, "BadReply"),
    "a text": (lambda: '{"success": true}', "BadReply"),
    "a list": (list, "BadReply"),
    "a call": (lambda: raises, "BadReply"),
    "bytes": (lambda: b"{}", "BadReply"),
    "cyclic": (cyclic, "BadReply"),
    "odd": (lambda: {"success": "yes", "stats": [], "config": 7}, "BadReply"),
    "not a number": (lambda: said({"watts": float("nan"), "mode": "low"}), "BadReply"),
    "half a character": (lambda: {"success": True, "stats": {"status": "\ud800"}}, "BadReply"),
    "deep": (lambda: {"success": True, "extra": nested(5_000)}, "BadReply"),
    "long": (lambda: {"success": True, "extra": "x" * (5 << 20)}, "BadReply"),
    "for ever": (for_ever, "Timeout"),
}
"""What a thing's ``snapshot`` does, and the kind of error that this is."""

EXECUTES: dict[str, tuple[Callable[[], Any], str]] = {
    "a shape": (lambda: {"requests": 7}, "maybe"),
    "a number": (lambda: 7, "maybe"),
    "cyclic": (cyclic, "maybe"),
    "long": (lambda: {"requests": ["x" * (5 << 20)]}, "maybe"),
    "broken": (raises(ValueError, "broken"), "maybe"),
    "refused": (raises(ConnectionRefusedError, "refused"), "maybe"),
    "unspeakable": (raises(Unspeakable), "maybe"),
    "gives itself up": (raises(asyncio.CancelledError), "maybe"),
    "for ever": (for_ever, "maybe"),
    "it has it, perhaps": (raises(headframe.Timeout, "no reply", sent="maybe"), "maybe"),
    "it has it not": (raises(headframe.Rejected, "the password is wrong", sent="no"), "no"),
}
"""What a thing's ``execute`` does after the device took it, and whether the device may have it."""
