"""The two faces of the package, as one: what a runner does it does on either."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Protocol, TypeVar

import headframe
import headframe.sync

from .pattern import Fault

T = TypeVar("T")

LATE = "did not end"


class Face(Protocol):
    """``package`` has the calls; a case has its addresses in ``block``."""

    package: Any
    block: str

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Does all of it."""
        ...

    async def bounded(self, work: Coroutine[Any, Any, T], within: float) -> T:
        """Does it in its time."""
        ...

    async def done(self, call: Callable[[], Any]) -> Any:
        """What a call of the package gives."""
        ...

    def each(self, stream: Any) -> AsyncGenerator[Any, None]:
        """What a stream of the package gives."""
        ...

    async def closed(self, handle: Any, **how: Any) -> Any:
        """Closes a handle."""
        ...


class Asyncio:
    """``headframe``."""

    package: Any = headframe
    block = "127.103"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(work)

    async def bounded(self, work: Coroutine[Any, Any, T], within: float) -> T:
        try:
            return await asyncio.wait_for(work, within)
        except asyncio.TimeoutError as e:
            raise Fault(LATE) from e

    async def done(self, call: Callable[[], Any]) -> Any:
        given = call()
        return await given if inspect.isawaitable(given) else given

    async def each(self, stream: Any) -> AsyncGenerator[Any, None]:
        async for one in stream:
            yield one

    async def closed(self, handle: Any, **how: Any) -> Any:
        return await handle.aclose(**how)


class Sync:
    """``headframe.sync``: its work never waits for an event loop, so that there is none."""

    package: Any = headframe.sync
    block = "127.104"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            work.send(None)
        except StopIteration as done:
            given: T = done.value
            return given
        raise Fault("something of the synchronous face has to be awaited")

    async def bounded(self, work: Coroutine[Any, Any, T], within: float) -> T:
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def do() -> None:
            try:
                future.set_result(self.run(work))
            except BaseException as e:
                future.set_exception(e)

        threading.Thread(target=do, daemon=True).start()
        if not concurrent.futures.wait([future], within).done:
            raise Fault(LATE)
        return future.result()

    async def done(self, call: Callable[[], Any]) -> Any:
        return call()

    async def each(self, stream: Any) -> AsyncGenerator[Any, None]:
        for one in stream:
            yield one

    async def closed(self, handle: Any, **how: Any) -> Any:
        return handle.close(**how)
