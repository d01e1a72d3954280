"""What calls come to, and whether that is as it was promised."""

from __future__ import annotations

import asyncio
import faulthandler
import inspect
import itertools
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import headframe
from headframe import HeadframeError

BOUND_S = 60
"""How long any call may take: a search that meets a device that hangs takes 20 s."""
LAST_S = 280
"""After so long a process that cannot even look ends itself."""
ENOUGH = 5
"""A process ends when one of its accounts has so many faults."""
KINDS = {name for name, error in vars(headframe).items() if isinstance(error, type) and issubclass(error, HeadframeError)}
KINDS -= {"HeadframeError", "Internal"}
_UNDER_WAY: dict[int, tuple[Account, str, float]] = {}
_NUMBERS = itertools.count()


def say(**line: object) -> None:
    """Says a line at once: the process may be gone in a moment."""
    told = json.dumps(line).encode() + b"\n"
    while told:
        told = told[os.write(1, told) :]


class Torn(BaseException):
    """What a thread is torn by."""


class Account:
    """What the calls of a thread so far came to."""

    def __init__(self, *ends: type[BaseException]) -> None:
        self.begun = 0
        self.ended = 0
        self.reached: set[str] = set()
        self.faults: list[str] = []
        self.ends = ends
        """What somebody ends its calls with, from outside."""

    def beside(self) -> Account:
        """One for calls that nobody asked for: they are judged and not counted."""
        other = Account(*self.ends)
        other.reached, other.faults = self.reached, self.faults
        return other

    @property
    def is_in_the_middle(self) -> bool:
        return self.begun > self.ended

    @contextmanager
    def call(
        self, name: str, method: Callable[..., Any] | None = None, args: Sequence[Any] = (), more: Mapping[str, Any] | None = None
    ) -> Iterator[None]:
        """Judges what a call within comes to."""
        number, key = self.begun, next(_NUMBERS)
        self.begun += 1
        _UNDER_WAY[key] = (self, f"call {number}, {name}", time.monotonic())
        try:
            yield
        except BaseException as e:
            if isinstance(e, (*self.ends, GeneratorExit)):
                raise
            why = self._judged(e, method, args, more or {})
            if why is not None:
                self.fault(f"call {number}, {name}: {why}")
        finally:
            _UNDER_WAY.pop(key, None)
            self.ended += 1

    @contextmanager
    def standing(self, name: str) -> Iterator[None]:
        """The native part stands what is done within. Nobody gets at it, so any error will do that Python knows."""
        try:
            yield
        except HeadframeError as e:
            why = self._judged(e, None, (), {})
            if why is not None:
                self.fault(f"{name}: {why}")
        except Exception:
            pass
        except BaseException as e:
            if isinstance(e, (*self.ends, GeneratorExit, asyncio.CancelledError)):
                raise
            self.fault(f"{name}: {told(e)}")

    def _judged(
        self, e: BaseException, method: Callable[..., Any] | None, args: Sequence[Any], more: Mapping[str, Any]
    ) -> str | None:
        """What is wrong with an error; nothing where all is well."""
        if isinstance(e, HeadframeError):
            self.reached.add(f"told {e.kind}")
            typed = (
                type(e).__name__ == e.kind in KINDS
                and (type(e.code), type(e.op), type(e.retryable), type(e.context)) == (str, str, bool, dict)
                and e.code != "ERR_INTERNAL"
                and e.sent in ("no", "maybe")
            )
            return None if typed else f"{told(e)} {vars(e)}"
        if isinstance(e, TypeError) and method is not None and not _fits(method, args, more):
            return None
        return f"not an error of ours: {told(e)}"

    def fault(self, why: str) -> None:
        """Something is wrong. Once enough is, nothing else need be waited for."""
        self.faults.append(why)
        if len(self.faults) == ENOUGH:
            self.tell()
            os._exit(1)

    def forget(self) -> None:
        """Its calls were ended from outside, wherever they were."""
        for key, (account, _, _) in list(_UNDER_WAY.items()):
            if account is self:
                _UNDER_WAY.pop(key, None)

    def tell(self, where: str = "") -> None:
        """Says all of it."""
        for probe in sorted(self.reached):
            say(probe=probe)
        for fault in self.faults:
            say(violation=where + fault)
        say(calls=self.begun)


def told(e: BaseException) -> str:
    """An error with the last places of its way."""
    lines = "".join(traceback.format_exception(type(e), e, e.__traceback__))
    return lines[-2_000:].encode("utf-8", "replace").decode()


def _fits(method: Callable[..., Any], args: Sequence[Any], more: Mapping[str, Any]) -> bool:
    """Whether Python itself lets a call pass."""
    try:
        inspect.signature(method).bind(*args, **more)
    except TypeError:
        return False
    return True


def watched() -> None:
    """Ends the process, and says why, once a call has no answer in time."""
    faulthandler.dump_traceback_later(LAST_S, exit=True)
    threading.Thread(target=_watch, name="watch", daemon=True).start()


def _watch() -> None:
    while True:
        time.sleep(1)
        late = [name for _, name, began in list(_UNDER_WAY.values()) if time.monotonic() - began > BOUND_S]
        if late:
            say(violation=f"no answer in {BOUND_S} s: {', '.join(late)}")
            faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
            os._exit(1)
