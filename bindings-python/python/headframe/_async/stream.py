from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from .._turn import turn

T = TypeVar("T")


class Stream(Generic[T]):
    """What comes, one after the other, until it ends. Leaving its ``with`` block, or letting go of it, ends it."""

    def __init__(self, native: Any, take: Callable[[], T | None]) -> None:
        self._native = native
        self._take = take

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        # What is there is given at once, yet never without a turn for all else that waits.
        await turn()
        while await self._native.ready():
            # Waiting takes nothing: a wait that was given up lost nothing.
            one = self._take()
            if one is not None:
                return one
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Ends it; whoever waits for the next gets the end."""
        await self._native.close()

    async def __aenter__(self) -> Stream[T]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
