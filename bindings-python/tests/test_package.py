"""The package for asyncio: scans, devices and sites."""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import json
import time
import unittest
from collections.abc import Awaitable
from typing import Any

import headframe
from headframe import Closed, Conflict, Invalid, Simulator, Site, Timeout, sync

from tests.support import (
    ANN,
    RACK,
    SIMULATED,
    AsyncCase,
    conf,
    drafts,
    now,
    opts,
    readings,
    some,
    until,
)


class About(unittest.TestCase):
    def test_the_version_is_that_of_the_distribution(self) -> None:
        self.assertEqual(headframe.__version__, importlib.metadata.version("headframe"))

    def test_all_names_that_are_announced_are_there(self) -> None:
        for module in (headframe, sync):
            for name in module.__all__:
                self.assertTrue(hasattr(module, name), name)


class Scans(AsyncCase):
    async def test_devices_come_as_they_are_found_and_the_summary_last(self) -> None:
        await self.simulated("127.105.1.1", whatsminers=2, antminers=1)
        events = [event async for event in headframe.discover("127.105.1.1-127.105.1.4", ports=SIMULATED)]
        *found, summary = events
        self.assertEqual(sorted(told["driver"] for told in found), ["antminer", "whatsminer", "whatsminer"])
        self.assertEqual({told["event"] for told in found}, {"device"})
        self.assertEqual(summary["event"], "summary")
        self.assertEqual((summary["report"]["total"], summary["report"]["devices"]), (4, 3))

    async def test_a_scan_that_is_stopped_says_at_once_what_it_did_not_reach(self) -> None:
        simulator = await self.simulated("127.105.2.1")
        simulator.fault(0, {"kind": "hang"})
        scan = headframe.discover("127.105.2.1", ports=SIMULATED)
        asyncio.get_running_loop().call_later(0.1, scan.stop)
        began = time.monotonic()
        events = [event async for event in scan]
        self.assertLess(time.monotonic() - began, 1)
        self.assertEqual([event["event"] for event in events], ["summary"])
        self.assertEqual(events[0]["report"]["not_reached"], "127.105.2.1")

    async def test_a_scan_that_is_stopped_before_it_begins_asks_nobody(self) -> None:
        simulator = await self.simulated("127.105.3.100")
        scan = headframe.discover("127.105.3.1-127.105.3.100", ports=SIMULATED, concurrency=1)
        scan.stop()
        events = [event async for event in scan]
        self.assertEqual([event["event"] for event in events], ["summary"])
        self.assertTrue(events[0]["report"]["not_reached"].endswith("127.105.3.100"), events)
        self.assertEqual(simulator.truth(0)["requests"], 0)

    async def test_a_scan_whose_loop_is_left_asks_nobody_any_more(self) -> None:
        first = await self.simulated("127.105.4.1")
        last = await self.simulated("127.105.4.30")
        async for _ in headframe.discover("127.105.4.1-127.105.4.30", ports=SIMULATED, concurrency=1):
            break
        await asyncio.sleep(0.5)
        self.assertNotEqual(first.truth(0)["requests"], 0)
        self.assertEqual(last.truth(0)["requests"], 0)

    async def test_leaving_the_block_of_a_scan_stops_it(self) -> None:
        last = await self.simulated("127.105.5.30")
        await self.simulated("127.105.5.1")
        async with headframe.discover("127.105.5.1-127.105.5.30", ports=SIMULATED, concurrency=1) as scan:
            self.assertEqual((await anext(scan))["event"], "device")
        rest = [event["event"] async for event in scan]
        self.assertEqual(rest, ["summary"])
        self.assertEqual(last.truth(0)["requests"], 0)

    async def test_a_device_that_was_found_as_its_wait_was_given_up_comes_next(self) -> None:
        simulator = await self.simulated("127.105.7.1")
        simulator.fault(0, {"kind": "slow", "delayMs": 200})
        scan = headframe.discover("127.105.7.1", ports=SIMULATED)
        await given_up(anext(scan), 1)
        self.assertEqual([event["event"] async for event in scan], ["device", "summary"])

    async def test_a_scan_that_ended_stays_at_its_end(self) -> None:
        scan = headframe.discover("127.105.6.1", ports=SIMULATED)
        self.assertEqual([event["event"] async for event in scan], ["summary"])
        self.assertEqual([event async for event in scan], [])

    async def test_a_range_that_is_none_is_refused_with_its_field(self) -> None:
        with self.assertRaises(Invalid) as caught:
            await anext(headframe.discover("10.0.0.0/99"))
        self.assertEqual(caught.exception.context["field"], "range")


class Devices(AsyncCase):
    async def opened(self, simulator: Simulator) -> headframe.Device:
        device = await headframe.open_device("whatsminer", opts(simulator.devices()[0]))
        self.addAsyncCleanup(device.aclose)
        return device

    async def test_a_device_is_read_and_written_to(self) -> None:
        simulator = await self.simulated("127.105.10.1")
        device = await self.opened(simulator)
        power = simulator.truth(0)["power_w"]
        self.assertAlmostEqual((await device.snapshot())["stats.power_w"], power, delta=200)
        self.assertIn("setPowerMode", [row["name"] for row in device.capability()["commands"]])
        outcome = await device.execute("setPowerMode", "low")
        self.assertEqual((outcome["state"], outcome["before"]["args"]), ("verified", "normal"))
        self.assertEqual(simulator.truth(0)["executed"], {"set_low_power": 1})

    async def test_what_a_snapshot_says_is_the_same_however_it_is_asked(self) -> None:
        device = await self.opened(await self.simulated("127.105.11.1"))
        snapshot = await device.snapshot()
        told = snapshot.as_dict()
        self.assertEqual(json.loads(snapshot.as_json()), told)
        self.assertEqual((snapshot["success"], snapshot["stats"]), (True, told["stats"]))
        self.assertEqual(snapshot.get("stats.power_w"), told["stats"]["power_w"])
        self.assertEqual(snapshot["stats.hashrate_mhs.avg"], told["stats"]["hashrate_mhs"]["avg"])
        self.assertIn("stats.power_w", snapshot)

    async def test_a_snapshot_gives_members_of_lists_by_their_number(self) -> None:
        device = await self.opened(await self.simulated("127.105.12.1"))
        snapshot = await device.snapshot()
        lists = [(name, told) for name, told in snapshot["config"].items() if isinstance(told, list) and told]
        self.assertTrue(lists, snapshot.as_json())
        for name, told in lists:
            self.assertEqual(snapshot[f"config.{name}.0"], told[0])
            self.assertNotIn(f"config.{name}.{len(told)}", snapshot)

    async def test_what_is_not_in_a_snapshot_is_a_default_or_a_key_error(self) -> None:
        device = await self.opened(await self.simulated("127.105.13.1"))
        snapshot = await device.snapshot()
        for path in ("stats.pwer_w", "stats.power_w.deeper", "", ".", "stats."):
            self.assertNotIn(path, snapshot)
            self.assertIsNone(snapshot.get(path))
            self.assertEqual(snapshot.get(path, 7), 7)
            with self.assertRaises(KeyError) as caught:
                snapshot[path]
            self.assertEqual(caught.exception.args, (path,))

    async def test_a_device_that_hangs_is_out_of_time(self) -> None:
        simulator = await self.simulated("127.105.14.1")
        device = await self.opened(simulator)
        simulator.fault(0, {"kind": "hang"})
        began = time.monotonic()
        with self.assertRaises(Timeout) as caught:
            await device.snapshot(within_ms=200)
        self.assertLess(time.monotonic() - began, 1.5)
        self.assertEqual((caught.exception.sent, caught.exception.retryable), ("no", True))

    async def test_a_call_that_is_given_up_leaves_the_device_usable(self) -> None:
        simulator = await self.simulated("127.105.15.1")
        device = await self.opened(simulator)
        simulator.fault(0, {"kind": "hang"})
        began = time.monotonic()
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(device.snapshot(), 0.1)
        self.assertLess(time.monotonic() - began, 2)
        simulator.clear(0)
        self.assertTrue((await device.snapshot())["success"])

    async def test_a_device_is_closed_at_the_end_of_its_block_even_after_an_error(self) -> None:
        simulator = await self.simulated("127.105.16.1")
        device = await headframe.open_device("whatsminer", opts(simulator.devices()[0]))
        with self.assertRaises(ZeroDivisionError):
            async with device:
                raise ZeroDivisionError
        with self.assertRaises(Closed):
            await device.snapshot()
        with self.assertRaises(Closed):
            device.capability()
        await device.aclose()

    async def test_a_simulator_that_was_closed_has_no_devices(self) -> None:
        async with await Simulator.start(base="127.105.17.1", whatsminers=1) as simulator:
            self.assertEqual(len(simulator.devices()), 1)
        with self.assertRaises(Closed):
            simulator.devices()
        await simulator.aclose()


class Sites(AsyncCase):
    async def test_a_site_finds_devices_and_lists_them_in_pages(self) -> None:
        await self.simulated("127.105.20.1", whatsminers=5)
        site = await self.site(conf())
        logins = [{"driver": "whatsminer", "opts": {"password": "admin"}}]
        report = await site.find("127.105.20.1-127.105.20.5", "ann@site", ports=SIMULATED, logins=logins)
        self.assertEqual((len(report["registered"]), report["refused"]), (5, []))
        page = await site.list({"query": {"type": "miner-wm-m50s"}, "limit": 3})
        self.assertEqual((len(page["items"]), page["matched"], page["failed"]), (3, 5, []))
        rest = await site.list({"query": {"type": "miner-wm-m50s"}, "limit": 3, "cursor": page["next"]})
        self.assertEqual((len(rest["items"]), rest["next"]), (2, None))
        self.assertEqual(len(await site.call(ANN, "listThings", {"limit": 100})), 5)
        self.assertEqual((site.counts()["things"], len((await site.list())["items"])), (5, 5))

    async def test_a_page_of_thousands_of_things_has_all_that_each_of_them_has(self) -> None:
        site = await self.site({"racks": [{"type": "inventory-spare", "name": "shelf"}], "history": False})
        info = {"text": "Ä \u2028 \U0001f525", "large": 2**53 - 1, "part": 0.1, "none": None, "list": [True, {"a": []}]}
        spares = [{"id": f"spare-{n}", "info": {**info, "serialNum": f"s-{n}"}} for n in range(2_500)]
        await site.register("inventory-spare-shelf", spares, "ann@site")
        question = {"sort": {"id": 1}, "limit": 2_500}
        for collects in (True, False):
            (gc.enable if collects else gc.disable)()
            self.addCleanup(gc.enable)
            items = (await site.list(question))["items"]
            self.assertEqual(gc.isenabled(), collects)
            self.assertEqual([item["id"] for item in items], [spare["id"] for spare in spares])
            for item, spare in zip(items, spares, strict=True):
                self.assertEqual({name: item["info"][name] for name in (*info, "serialNum")}, spare["info"])

    async def test_each_thing_is_judged_alone(self) -> None:
        site = await self.site(conf())
        things = [{"id": "a", "opts": {"address": "127.105.21.1"}}, {"id": "a", "opts": {"address": "127.105.21.2"}}]
        good, bad = await site.register(RACK, things, "ann@site")
        self.assertEqual((good["thing"]["id"], bad["error"]["kind"]), ("a", "Conflict"))

    async def test_readings_say_the_same_one_by_one_and_together(self) -> None:
        site = await self.polled(await self.simulated("127.105.22.1", whatsminers=2))
        for reading in await some(site, 4):
            told = reading.as_dict()
            self.assertEqual(json.loads(reading.as_json()), told)
            self.assertEqual([reading.thing, reading.ts, reading.seq], [told["thing"], told["ts"], told["seq"]])
            self.assertEqual([reading.link, reading.took_ms], [told["link"], told["tookMs"]])
            self.assertEqual([reading.missed, reading.error], [told["missed"], told["error"]])
            self.assertEqual(reading.snapshot.as_dict(), told["snapshot"])
            self.assertEqual((reading.link, reading.error), ("online", None))
            self.assertGreater(reading.snapshot["stats.power_w"], 1_000)
            self.assertIs(reading.snapshot, reading.snapshot)

    async def test_nobody_makes_or_changes_a_reading(self) -> None:
        site = await self.polled(await self.simulated("127.105.23.1"))
        reading: Any = (await some(site, 1))[0]
        before = reading.as_json()
        for name in ("thing", "ts", "snapshot", "another"):
            with self.assertRaises(AttributeError):
                setattr(reading, name, 7)
        with self.assertRaises(AttributeError):
            reading.snapshot.success = False
        for made in (headframe.Reading, headframe.Snapshot):
            with self.assertRaises(TypeError):
                made()
        self.assertEqual(reading.as_json(), before)

    async def test_a_failed_poll_is_a_reading_with_its_error(self) -> None:
        simulator = await self.simulated("127.105.24.1")
        site = await self.polled(simulator)
        simulator.fault(0, {"kind": "garbage"})
        seen = await readings(site, lambda seen: any(reading.error for reading in seen))
        error: Any = next(reading.error for reading in seen if reading.error)
        self.assertEqual((error["kind"], error["sent"]), ("BadReply", "no"))

    async def test_a_reader_that_is_too_slow_is_told_how_much_it_missed(self) -> None:
        site = await self.polled(await self.simulated("127.105.25.1"))
        async with site.subscribe(capacity=1) as stream:
            first = (await anext(stream))[0]
            before = site.counts()["pollsDone"]
            await until(now(site.counts), lambda counts: counts["pollsDone"] >= before + 4)
            late = (await anext(stream))[0]
        self.assertGreaterEqual(late.missed, 2)
        self.assertEqual(late.seq, first.seq + late.missed + 1)

    async def test_a_stream_that_is_closed_ends_whoever_waits(self) -> None:
        site = await self.site(conf())
        stream, watch = site.subscribe(), site.actions.watch()
        waiting = [asyncio.ensure_future(anext(one, "ended")) for one in (stream, watch)]
        await asyncio.sleep(0.05)
        self.assertFalse(any(task.done() for task in waiting))
        await stream.aclose()
        await watch.aclose()
        self.assertEqual(await asyncio.gather(*waiting), ["ended", "ended"])
        self.assertEqual([batch async for batch in stream], [])

    async def test_history_gives_a_number_over_time(self) -> None:
        site = await self.polled(await self.simulated("127.105.26.1", whatsminers=2))
        seen = await some(site, 6)
        power = {"things": {"tag": "t-miner"}, "metric": "stats.power_w", "from": seen[0].ts - 1, "to": 4_100_000_000_000}
        raw = await site.series({**power, "step": "raw"})
        values = [value for column in raw["columns"] for value in column["values"]]
        self.assertEqual(len(raw["columns"]), 2)
        self.assertTrue(values and all(watts > 1_000 for watts in values), values)
        with self.assertRaises(Invalid) as caught:
            await site.series({**power, "metric": "stats.pwer_w", "step": "raw"})
        self.assertEqual(caught.exception.code, "ERR_METRIC_NOT_FOUND")

    async def test_statistics_say_what_racks_do_now(self) -> None:
        site = await self.polled(await self.simulated("127.105.32.1", whatsminers=2))
        await some(site, 2)
        asked = {"type": "miner", "tag": "t-miner", "key": "stat-rtd"}
        # Whoever subscribes may be told before the statistics are.
        found = await until(lambda: site.statistics(asked), lambda told: bool(told["items"]))
        self.assertEqual(found["failed"], [])
        self.assertGreater(found["items"][0]["power_w_sum_aggr"], 1_000, found)
        with self.assertRaises(Invalid):
            await site.statistics([asked])  # type: ignore[arg-type]

    async def test_a_site_is_copied_while_it_runs_and_comes_back(self) -> None:
        site = await self.site(conf())
        await site.register(RACK, [{"id": "a", "opts": {"address": "127.105.27.1"}}], "ann@site")
        copy, restored = self.folder() / "copy", self.folder() / "restored"
        self.assertEqual((await site.backup(copy))["leftOut"], [])
        self.assertEqual((await Site.restore(copy, restored))["site"], site.id)
        with self.assertRaises(Conflict) as caught:
            await Site.restore(copy, restored)
        self.assertEqual(caught.exception.code, "ERR_BACKUP_EXISTS")

    async def test_a_call_that_is_given_up_leaves_the_site_usable(self) -> None:
        simulator = await self.simulated("127.105.28.1")
        simulator.fault(0, {"kind": "hang"})
        site = await self.site(conf())
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(site.find("127.105.28.1", "ann@site", ports=SIMULATED), 0.1)
        async with site.subscribe() as stream:
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(stream), 0.1)
            await site.register(RACK, drafts(simulator.devices()), "ann@site")
            self.assertEqual((await asyncio.wait_for(anext(stream), 30))[0].thing, "m-0")

    async def test_a_reading_that_came_as_its_wait_was_given_up_comes_next(self) -> None:
        site = await self.polled(await self.simulated("127.105.32.1"))
        async with site.subscribe() as stream:
            last = (await anext(stream))[-1]
            await given_up(anext(stream), 1)
            first = (await anext(stream))[0]
            self.assertEqual((first.seq, first.missed), (last.seq + 1, 0))

    async def test_a_site_is_closed_at_the_end_of_its_block_and_opens_again(self) -> None:
        path = self.folder() / "site"
        async with await Site.open(path, conf(), how="create") as site:
            await site.register(RACK, [{"id": "a", "opts": {"address": "127.105.29.1"}}], "ann@site")
        self.assertIsNone(await site.aclose())
        async with await Site.open(path, conf()) as again:
            self.assertEqual([item["id"] for item in (await again.list())["items"]], ["a"])

    async def test_what_is_called_after_the_end_is_closed(self) -> None:
        site = await self.site()
        actions = site.actions
        ended = await site.aclose()
        self.assertEqual((ended or {})["actionsBrokenOff"], False)
        asked = (site.list(), site.call(ANN, "ping"), site.register(RACK, [], "ann"), site.find("127.105.30.1", "ann"))
        others = (site.series({}), actions.push({}, "ann"), actions.get(7), actions.halt("ann"), actions.query("done"))
        for call in (*asked, *others):
            with self.assertRaises(Closed):
                await call
        for at_once in (site.counts, site.subscribe, actions.watch, lambda: site.id):
            with self.assertRaises(Closed):
                at_once()

    async def test_a_site_that_is_dropped_ends_and_opens_again_with_all_that_it_had(self) -> None:
        path = self.folder() / "site"
        site = await Site.open(path, conf(), how="create")
        await site.register(RACK, [{"id": "a", "opts": {"address": "127.105.31.1"}}], "ann@site")
        del site
        gc.collect()
        again = await until(lambda: _opened(path), lambda opened: opened is not None, within=15)
        assert again is not None
        self.assertEqual([item["id"] for item in (await again.list())["items"]], ["a"])
        await again.aclose()


async def given_up(call: Awaitable[Any], after: float) -> None:
    """Gives a call up while its answer waits for the event loop, which is busy meanwhile."""
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0.01)
    time.sleep(after)
    assert task.cancel(), "its answer had come already"
    await asyncio.gather(task, return_exceptions=True)


async def _opened(path: Any) -> Site | None:
    try:
        return await Site.open(path, conf())
    except headframe.HeadframeError as e:
        if e.code != "STORE_LOCKED":
            raise
        return None
