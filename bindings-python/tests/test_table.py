"""Tables: what a site's history says, handed on without a copy."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from typing import Any

import pandas
import polars
import pyarrow

import headframe

BASE = "127.107.0.1"
CONF = {
    "racks": [{"type": "miner-wm-m50s", "name": "hall", "driver": "whatsminer", "intervalMs": 1_000}],
    "people": {"ann@site": ["miner:rw"]},
}


class Tables(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        simulator = await headframe.Simulator.start(base=BASE, whatsminers=2)
        self.addAsyncCleanup(simulator.aclose)
        self.site = await headframe.Site.open(folder.name, CONF, how="create")
        self.addAsyncCleanup(self.site.aclose)
        report = await self.site.find("127.107.0.1-127.107.0.2", "ann@site", ports={"simulated": True})
        self.things = [thing["id"] for thing in report["registered"]]
        self.said: dict[str, dict[int, Any]] = {thing: {} for thing in self.things}
        async for batch in self.site.subscribe():
            for reading in batch:
                began = reading.ts - reading.took_ms
                self.said[reading.thing][began] = reading.snapshot.get("stats.power_w")
            if all(len(said) >= 4 for said in self.said.values()):
                break
        # Whoever subscribes may be told before the history is.
        said = {(thing, ts) for thing, each in self.said.items() for ts in each}
        while not said <= (await self.found()).keys():
            await asyncio.sleep(0.05)

    async def table(self, **asked: Any) -> headframe.Table:
        return await self.site.readings(self.things, start=0, end=1 << 42, **asked)

    async def found(self) -> dict[tuple[str, int], Any]:
        table = pyarrow.table(await self.table(members=["stats.power_w"]))
        return {(row["thing"], int(row["ts"].timestamp() * 1e3 + 0.5)): row["stats.power_w"] for row in table.to_pylist()}

    async def test_a_table_has_what_the_things_said(self) -> None:
        table = pyarrow.table(await self.table(members=["stats.power_w"]))
        self.assertEqual(table.column_names, ["ts", "thing", "stats.power_w"])
        found = await self.found()
        for thing, said in self.said.items():
            for ts, watts in said.items():
                self.assertEqual(found[thing, ts], watts)

    async def test_whoever_reads_it_shares_its_buffers(self) -> None:
        table = await self.table(members=["stats.power_w"])
        one, other = pyarrow.table(table), pyarrow.table(table)
        addresses = [
            [chunk.buffers()[1].address for chunk in read.column("stats.power_w").chunks] for read in (one, other)
        ]
        self.assertEqual(addresses[0], addresses[1])
        self.assertGreater(len(addresses[0]), 0)
        batch = one.combine_chunks() if len(addresses[0]) > 1 else one
        again = pyarrow.table(batch.to_batches()[0]).column("stats.power_w").chunks[0].buffers()[1].address
        self.assertEqual(again, batch.column("stats.power_w").chunks[0].buffers()[1].address)

    async def test_pandas_and_polars_read_it(self) -> None:
        table = await self.table(members=["stats.power_w"])
        frame = pandas.DataFrame.from_arrow(table)
        other = polars.DataFrame(table)
        self.assertEqual(len(frame), len(table))
        self.assertEqual(other.height, len(table))
        self.assertEqual(frame["stats.power_w"].sum(), other["stats.power_w"].sum())

    async def test_it_outlives_the_site(self) -> None:
        table = await self.table(members=["stats.power_w"])
        await self.site.aclose()
        self.assertEqual(pyarrow.table(table).num_rows, len(table))

    async def test_series_are_tables_too(self) -> None:
        query = {"things": {"ids": self.things}, "metric": "stats.power_w", "from": 0, "to": 1 << 42, "step": "raw"}
        table = pyarrow.table(await self.site.series_table(query))
        self.assertEqual(table.column_names, ["thing", "ts", "value"])
        self.assertGreaterEqual(table.num_rows, 8)

    async def test_without_members_all_numbers_are_columns_and_with_texts_all(self) -> None:
        numbers, texts = await self.table(), await self.table(texts=True)
        self.assertIn("stats.hashrate_mhs.t_5m", numbers.columns)
        self.assertNotIn("stats.status", numbers.columns)
        self.assertIn("stats.status", texts.columns)

    async def test_a_range_that_ends_before_it_begins_is_invalid(self) -> None:
        with self.assertRaises(headframe.Invalid) as caught:
            await self.site.readings(self.things, start=5, end=4)
        self.assertEqual(caught.exception.context, {"field": "to"})
