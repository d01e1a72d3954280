from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Literal

from .. import _headframe as native
from .._asked import folder, items, mapping, members, rows, text, whole, written
from .._driver import Drivers, registry
from .actions import READER, Actions
from .stream import Stream

Folder = str | os.PathLike[str]
Rows = list[dict[str, Any]]
Batch = list[native.Reading]


class Site:
    """A whole site in this process: racks that collect their things, history, and the action engine, the only way to write to
    devices."""

    def __init__(self, site: native.NativeSite) -> None:
        self._native = site
        self.actions = Actions(site)
        """Proposes writes, votes on them, and tells what became of them."""

    @staticmethod
    async def open(
        path: Folder,
        conf: Mapping[str, Any],
        *,
        how: Literal["open", "create", "openOrCreate"] = "open",
        drivers: Drivers | None = None,
    ) -> Site:
        """Opens the site in a folder. A store that is missing or damaged is an error: with ``create`` a new site is made, with
        ``openOrCreate`` where the folder is empty."""
        asked = (folder("path", path), members("conf", conf), text("how", how))
        return Site(await registry(drivers).open_site(*asked))

    @property
    def id(self) -> str:
        """Its id, made when its store was created."""
        told: str = self._native.id()
        return told

    async def call(self, who: Mapping[str, Any], method: str, params: Any = None) -> Any:
        """Calls one of MiningOS's methods; ``docs/rpc.md`` has them. ``who`` is ``{"user", "permissions"}``."""
        asked = (members("who", who), text("method", method), written("params", {} if params is None else params))
        return await self._native.call(*asked)

    async def register(self, rack: str, things: Iterable[Mapping[str, Any]], by: str) -> Rows:
        """Registers things in a rack, each judged alone, durable together; gives for each ``{"thing"}`` or ``{"error"}``."""
        asked = (text("rack", rack), written("things", rows("things", things)), text("by", by))
        told: Rows = await self._native.register(*asked)
        return told

    async def find(
        self,
        address_range: str,
        by: str,
        *,
        ports: Mapping[str, Any] | None = None,
        logins: Iterable[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """Scans a range and registers what is recognised, in the first rack whose driver is the device's."""
        options: dict[str, Any] = {"logins": rows("logins", logins)}
        if ports is not None:
            options["ports"] = ports
        asked = (text("address_range", address_range), members("options", options), text("by", by))
        told: dict[str, Any] = await self._native.find(*asked)
        return told

    async def list(self, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Lists things of all racks: ``{"items", "matched", "next", "failed"}``. ``next`` is the cursor of the next page; racks that
        failed are named."""
        told: dict[str, Any] = await self._native.list(members("query", query))
        return told

    def subscribe(self, *, capacity: int = 65_536, most: int = 512) -> Stream[Batch]:
        """All readings of all racks from now on, in batches of those that are there, ``most`` at a time. ``capacity`` are kept for a
        reader that is slower; each reading says how many were missed before it."""
        reader = self._native.subscribe(whole("capacity", capacity))
        most = whole("most", most)
        return Stream(reader, lambda: reader.take(most))

    async def series(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """One number of things over time, out of the site's history: ``{"things", "metric", "from", "to", "step"}``."""
        told: dict[str, Any] = await self._native.series(members("query", query))
        return told

    async def series_table(self, query: Mapping[str, Any]) -> native.Table:
        """The same as a table for pyarrow, pandas and polars, a row for each value."""
        told: native.Table = await self._native.series_table(members("query", query))
        return told

    async def statistics(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """What racks, containers and tags did in each minute, hour or day: ``{"type", "tag", "key"}``, with ``key`` one of ``stat-1m`` to
        ``stat-1D``. Gives ``{"items", "failed"}``; racks that failed are named."""
        asked = written("query", {"key": "stat-5m", **mapping("query", query), "partial": True})
        told: dict[str, Any] = await self._native.call(READER, "tailLog", asked)
        return told

    async def readings(
        self,
        things: Iterable[str],
        *,
        start: int,
        end: int,
        members: Iterable[str] | None = None,
        texts: bool = False,
    ) -> native.Table:
        """What things said in the range, ms since 1970, as a table for pyarrow, pandas and polars: ``ts``, ``thing``, and a column for
        each member, such as ``stats.power_w``. Without ``members`` all numbers; with ``texts`` what is no number as well."""
        query: dict[str, Any] = {"things": items("things", things), "from": start, "to": end, "texts": texts}
        if members is not None:
            query["members"] = items("members", members)
        told: native.Table = await self._native.readings(written("query", query))
        return told

    async def backup(self, path: Folder) -> dict[str, Any]:
        """Copies the site into an empty folder while it runs; gives what was copied."""
        told: dict[str, Any] = await self._native.backup(folder("path", path))
        return told

    @staticmethod
    async def restore(source: Folder, target: Folder) -> dict[str, Any]:
        """Writes a backup into an empty folder, after all of it was verified; gives what was written."""
        told: dict[str, Any] = await native.restore_site(folder("source", source), folder("target", target))
        return told

    def counts(self) -> dict[str, int]:
        """How the collectors of all racks do, summed up; of latenesses the worst."""
        told: dict[str, int] = self._native.counts()
        return told

    async def aclose(self, *, within_ms: int = 10_000) -> dict[str, Any] | None:
        """Ends it in order: calls of actions and polls under way have ``within_ms`` to end, and everything collected is durable
        then. What is called meanwhile ends as closed."""
        told: dict[str, Any] | None = await self._native.close(whole("within_ms", within_ms))
        return told

    async def __aenter__(self) -> Site:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
