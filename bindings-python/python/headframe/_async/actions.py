from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _headframe as native
from .._asked import ident, members, optional_text, text, written
from .stream import Stream

READER = written("who", {"user": "headframe", "permissions": ["*:r"]})


class Actions:
    """Writes to devices: proposed, voted on, carried out, and told of."""

    def __init__(self, site: native.NativeSite) -> None:
        self._native = site

    async def push(self, draft: Mapping[str, Any], by: str) -> dict[str, Any]:
        """Proposes a write, ``{"action", "params", "query", "why"}``; gives ``{"id", "errors"}``."""
        told: dict[str, Any] = await self._native.push(members("draft", draft), text("by", by))
        return told

    async def preview(self, draft: Mapping[str, Any], by: str) -> dict[str, Any]:
        """What a push would touch, and who has to approve it; nothing is stored."""
        told: dict[str, Any] = await self._native.preview(members("draft", draft), text("by", by))
        return told

    async def vote(self, id: int | str, ballot: Mapping[str, Any], by: str) -> dict[str, Any]:
        """Votes on an action, ``{"approve": True}``; gives it. With its ``digest`` the vote counts for what was seen, or not at all."""
        asked = (ident(id), members("ballot", ballot), text("by", by))
        told: dict[str, Any] = await self._native.vote(*asked)
        return told

    async def withdraw(self, id: int | str, by: str) -> dict[str, Any]:
        """Takes a vote back; gives the action."""
        return await self._change(id, "withdraw", None, by)

    async def cancel(self, id: int | str, by: str) -> dict[str, Any]:
        """Cancels an action that is voted on; gives it."""
        return await self._change(id, "cancel", None, by)

    async def pause(self, id: int | str, by: str, why: str | None = None) -> dict[str, Any]:
        """Pauses an action that runs; gives it."""
        return await self._change(id, "pause", why, by)

    async def resume(self, id: int | str, by: str) -> dict[str, Any]:
        """Lets an action go on; gives it."""
        return await self._change(id, "resume", None, by)

    async def stop(self, id: int | str, by: str, why: str | None = None) -> dict[str, Any]:
        """Stops an action that runs: what it has not reached is left as it is. Gives it."""
        return await self._change(id, "stop", why, by)

    async def _change(self, id: int | str, how: str, why: str | None, by: str) -> dict[str, Any]:
        asked = (ident(id), how, optional_text("why", why), text("by", by))
        told: dict[str, Any] = await self._native.change(*asked)
        return told

    async def halt(self, by: str, why: str | None = None) -> None:
        """Stops all writes, at once and without a vote."""
        await self._native.halt(optional_text("why", why), text("by", by))

    async def query(
        self,
        type: str,
        *,
        filter: Mapping[str, Any] | None = None,
        limit: int | None = None,
        reverse: bool | None = None,
    ) -> list[dict[str, Any]]:
        """Actions of a type: ``voting``, ``ready``, ``executing`` or ``done``."""
        opts = {name: told for name, told in (("limit", limit), ("reverse", reverse)) if told is not None}
        type = text("type", type)
        asked: dict[str, Any] = {"type": type, "opts": opts}
        if filter is not None:
            asked["filter"] = filter
        found = await self._native.call(READER, "queryActions", written("query", {"queries": [asked]}))
        told: list[dict[str, Any]] = found[type]
        return told

    async def get(self, id: int | str) -> dict[str, Any] | None:
        """One action with its targets, and what became of each; None when there is none."""
        told: dict[str, Any] | None = await self._native.action(ident(id))
        return told

    def watch(self) -> Stream[dict[str, Any]]:
        """What becomes of all actions from now on. A reader that is too slow is told how many changes it missed."""
        watch = self._native.watch()
        return Stream(watch, watch.take)
