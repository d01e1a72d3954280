"""Calls that the collector makes: out of ``__del__`` and out of the callbacks of weak references."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from headframe import sync

from trust.account import Account, Torn
from trust.world import World


class Dying:
    """Calls when it goes."""

    def __init__(self, calls: Callable[[], None]) -> None:
        self._calls = calls
        self.ring: Any = None

    def __del__(self) -> None:
        self._calls()


def uses(account: Account, of: World) -> Callable[[], None]:
    """Calls that need no event loop."""
    through, beside = of.through(sync), account.beside()
    calls = [through.site.list, through.site.counts, through.closed.list, through.site.subscribe]
    calls += [through.device.capability, through.shut.snapshot, through.simulator.devices, through.gone.devices]

    def made() -> None:
        account.reached.add("called by the collector")
        for call in calls:
            with beside.call("by the collector", call), suppress(Torn, KeyboardInterrupt, SystemExit):
                # What ends the thread in which something is collected goes no further than this anyway.
                call()

    return made


def dies(account: Account, of: World) -> None:
    """Something goes at once, something else with its ring, and whoever looked at them is told."""
    calls = uses(account, of)
    one, other = Dying(calls), Dying(calls)
    other.ring = other
    told = weakref.ref(one, lambda _: calls())
    weakref.finalize(other, calls).atexit = False
    del one, other
    gc.collect(0)
    assert told() is None
