"""A site whose past is simulated."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import time
import unittest
from typing import Any

import pyarrow

import headframe
from headframe import sync

from tests.support import AsyncCase, folder, now, program, until

DAY = 86_400_000
END = 1_717_156_800_000
"""Noon of a day in 2024."""


class Past(AsyncCase):
    async def test_a_site_opens_with_readings_and_statistics_of_its_past(self) -> None:
        path = self.folder() / "site"
        made = await headframe.simulate_history(
            path, days=2, whatsminers=4, interval_ms=600_000, seed=3, base="127.111.10.1", end=END
        )
        self.assertEqual(made["things"], ["wm-01", "wm-02", "wm-03", "wm-04"])
        self.assertEqual((made["start"], made["end"]), (END - 2 * DAY, END))
        site = await headframe.Site.open(path, made["conf"])
        self.addAsyncCleanup(site.aclose)
        self.assertEqual([thing["id"] for thing in (await site.list())["items"]], made["things"])

        members = ["stats.power_w"]
        table = pyarrow.table(
            await site.readings(made["things"], start=made["start"], end=made["end"], members=members)
        )
        self.assertAlmostEqual(table.num_rows, made["polls"], delta=4)
        self.assertGreater(table.column("stats.power_w").null_count, 0)

        kinds = [event["kind"] for event in made["events"]]
        self.assertIn("sleep", kinds)
        night = made["events"][kinds.index("sleep")]
        self.assertEqual(len(night["things"]), 2)
        self.assertLess(await self.most(site, night), 150)

        asked = {"type": "miner", "tag": "t-miner", "key": "stat-1D", "start": made["start"], "end": made["end"]}
        rows = (await site.statistics(asked))["items"]
        self.assertGreaterEqual(len(rows), 2, rows)
        self.assertTrue(all(row["power_w_sum_aggr"] > 4_000 for row in rows), rows)

    async def most(self, site: headframe.Site, event: dict[str, Any]) -> float:
        """The most watts of a miner in the middle of an event."""
        query = {"things": {"ids": event["things"]}, "metric": "stats.power_w", "step": "whole", "aggregate": "max"}
        told = await site.series({**query, "from": event["start"] + 3_600_000, "to": event["end"] - 3_600_000})
        return max(float(column["values"][0]) for column in told["columns"])

    async def test_simulated_devices_of_the_same_seed_go_on_where_the_past_ends(self) -> None:
        path, base = self.folder() / "site", "127.111.11.1"
        made = await headframe.simulate_history(
            path, days=1, whatsminers=1, antminers=1, interval_ms=1_800_000, seed=9, base=base
        )
        await self.simulated(base, antminers=1, seed=9)
        racks = [{**rack, "intervalMs": 500} for rack in made["conf"]["racks"]]
        site = await headframe.Site.open(path, {"racks": racks})
        self.addAsyncCleanup(site.aclose)
        counts = await until(now(site.counts), lambda counts: counts["online"] == 2)
        self.assertEqual((counts["things"], counts["pollsFailed"]), (2, 0))
        held = [thing.get("held") for thing in (await site.list())["items"]]
        self.assertEqual(held, [None, None], "they are taken for other devices")

    async def test_whoever_gives_up_waiting_leaves_nothing(self) -> None:
        path = self.folder() / "site"
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(headframe.simulate_history(path, days=300), 0.5)
        await until(now(path.exists), lambda exists: not exists, within=10)
        self.assertEqual(os.listdir(path.parent), [])

    async def test_what_cannot_be_is_refused_and_named(self) -> None:
        there = self.folder()
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"days": 0}, "days"),
            ({"days": 367}, "days"),
            ({"days": 1.5}, "days"),
            ({"interval_ms": 10}, "intervalMs"),
            ({"interval_ms": "1"}, "interval_ms"),
            ({"whatsminers": 0}, "whatsminers"),
            ({"whatsminers": 20_000, "days": 1, "interval_ms": 3_600_000}, "whatsminers"),
            ({"days": 366, "interval_ms": 1_000}, "intervalMs"),
            ({"end": int(time.time() * 1e3) + DAY}, "end"),
            ({"end": -1}, "end"),
            ({"seed": -1}, "seed"),
            ({"base": 7}, "base"),
        ]
        for asked, field in wrong:
            with self.assertRaises(headframe.Invalid, msg=str(asked)) as caught:
                await headframe.simulate_history(there / "site", **asked)
            self.assertEqual(caught.exception.context["field"], field, asked)
        with self.assertRaises(headframe.Invalid):
            await headframe.simulate_history(there / "site", base="nowhere")
        self.assertEqual(os.listdir(there), [])
        (there / "mine").write_text("kept")
        with self.assertRaises(headframe.Conflict) as conflict:
            await headframe.simulate_history(there)
        self.assertEqual(conflict.exception.code, "ERR_FOLDER_NOT_EMPTY")
        self.assertEqual(os.listdir(there), ["mine"])
        with self.assertRaises(headframe.HeadframeError) as file:
            await headframe.simulate_history(there / "mine" / "site")
        self.assertNotEqual(file.exception.kind, "Internal")


class Waits(unittest.TestCase):
    def test_the_synchronous_package_makes_the_same_one(self) -> None:
        async def other(path: pathlib.Path) -> dict[str, Any]:
            return await headframe.simulate_history(path, **asked)

        asked: dict[str, Any] = {"days": 1, "whatsminers": 2, "interval_ms": 3_600_000, "seed": 4, "end": END}
        there = folder(self)
        made = sync.simulate_history(there / "one", **asked)
        self.assertEqual(made, asyncio.run(other(there / "two")))
        self.assertGreaterEqual(made["polls"], 2 * 23)

    def test_ctrl_c_ends_it_and_leaves_nothing(self) -> None:
        path = folder(self) / "site"
        done = program("given_up", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual((told["told"], told["left"]), ("KeyboardInterrupt", False))
        self.assertLess(told["late"], 2)
