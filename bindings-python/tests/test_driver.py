"""Drivers that are written in Python."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import threading
import unittest
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import headframe
from headframe import Closed, HeadframeError, Invalid, Site, Unsupported, sync

from tests.acme import MAC, Acme, Box, Does, PlainAcme, said, shown
from tests.odd_drivers import EXECUTES, SNAPSHOTS, for_ever, raises
from tests.support import ANN, PEOPLE, TWO_VOTES, AsyncCase, readings, settled, until

LOW: dict[str, Any] = {"action": "setPowerMode", "params": ["low"], "query": {}}
HERE = "127.106.50.1"


class DriverCase(AsyncCase):
    async def box(self) -> Box:
        box = Box()
        await box.start(HERE)
        self.addAsyncCleanup(box.aclose)
        return box

    async def device(self, driver: Any, opts: dict[str, Any]) -> headframe.Device:
        device = await headframe.open_device(driver.id, {"address": HERE, **opts}, drivers=[driver])
        self.addAsyncCleanup(device.aclose)
        return device

    async def sited(self, driver: Any, things: Iterable[dict[str, Any]], **rack: Any) -> Site:
        """A site with one rack of things of a driver."""
        usual = {"type": f"miner-{driver.id}", "name": "a", "driver": driver.id, "allowDuplicateIps": True}
        racks = [{**usual, "intervalMs": 300, "deadlineMs": 250, **rack}]
        site = await self.site({"racks": racks, "people": PEOPLE, "policy": TWO_VOTES}, drivers=[driver])
        made = await site.register(f"miner-{driver.id}-a", things, "ann@site")
        self.assertTrue(all("thing" in one for one in made), made)
        return site


class Devices(DriverCase):
    async def test_a_device_is_read_and_written_to(self) -> None:
        box, driver = await self.box(), Acme()
        device = await self.device(driver, box.opts())
        self.assertEqual((await device.snapshot())["stats.power_w"], 3_000)
        outcome = await device.execute("setPowerMode", "low")
        self.assertEqual((outcome["state"], outcome["before"]["args"]), ("verified", "normal"))
        self.assertEqual(outcome["receipt"]["requests"], ["/mode/low"])
        self.assertEqual((await device.execute("setPowerMode", "low"))["state"], "unchanged")
        self.assertEqual((await device.snapshot())["stats.power_w"], 2_000)
        self.assertEqual(box.writes, ["low"])

    async def test_what_the_device_cannot_do_is_refused_before_it_is_asked(self) -> None:
        box = await self.box()
        device = await self.device(Acme(), box.opts())
        for name, args in (("reboot", None), ("setPowerMode", "sleep")):
            with self.assertRaises(Unsupported):
                await device.execute(name, args)
        self.assertEqual(box.writes, [])

    async def test_a_thing_that_is_only_read_is_never_written_to(self) -> None:
        bare = SimpleNamespace(id="bare", open=lambda opts: SimpleNamespace(snapshot=lambda: said({"watts": 1, "mode": "low"})))
        device = await self.device(bare, {})
        self.assertTrue((await device.snapshot())["success"])
        self.assertEqual(device.capability()["commands"], [])
        with self.assertRaises(Unsupported):
            await device.execute("setPowerMode", "low")

    async def test_another_device_at_the_address_gets_nothing(self) -> None:
        macs = iter((MAC, "AA:BB:CC:00:00:02"))
        driver = Does(executes={"swapped": lambda: {}})
        thing = driver.open({"name": "swapped"})
        thing.observe = lambda action: shown(action, {"mac": next(macs), "mode": "normal"})
        device = await self.device(SimpleNamespace(id="swaps", open=lambda opts: thing), {})
        with self.assertRaises(headframe.Conflict) as caught:
            await device.execute("setPowerMode", "low")
        self.assertEqual((caught.exception.code, caught.exception.sent), ("ERR_IDENTITY_MISMATCH", "no"))
        self.assertEqual(driver.taken, {})

    async def test_a_thing_is_closed_once_with_its_device(self) -> None:
        box, driver = await self.box(), Acme()
        device = await self.device(driver, box.opts())
        await device.aclose()
        await device.aclose()
        self.assertEqual(driver.closed, 1)
        with self.assertRaises(Closed):
            await device.snapshot()

    async def test_whatever_a_driver_does_to_be_read_is_an_error_of_its_kind(self) -> None:
        driver = Does({name: does for name, (does, _) in SNAPSHOTS.items()})

        async def kind(name: str) -> str:
            device = await self.device(driver, {"name": name})
            try:
                return f"an answer: {await device.snapshot(within_ms=1_000)}"
            except HeadframeError as e:
                self.assertEqual(type(e).__name__, e.kind)
                return e.kind

        kinds = await asyncio.gather(*map(kind, SNAPSHOTS))
        self.assertEqual(dict(zip(SNAPSHOTS, kinds)), {name: kind for name, (_, kind) in SNAPSHOTS.items()})

    async def test_whatever_a_driver_does_to_write_nothing_is_written_twice_or_told_as_not_sent(self) -> None:
        driver = Does(executes={name: does for name, (does, _) in EXECUTES.items()})

        async def sent(name: str) -> str:
            device = await self.device(driver, {"name": name})
            with self.assertRaises(HeadframeError, msg=name) as caught:
                await device.execute("setPowerMode", "low", within_ms=4_000)
            return caught.exception.sent

        told = await asyncio.gather(*map(sent, EXECUTES))
        self.assertEqual(dict(zip(EXECUTES, told)), {name: sent for name, (_, sent) in EXECUTES.items()})
        self.assertEqual(driver.taken, dict.fromkeys(EXECUTES, 1))

    async def test_what_fails_when_it_opens_is_told_by_its_kind(self) -> None:
        cases: dict[str, tuple[Callable[[], Any], str]] = {
            "login": (raises(headframe.Unauthenticated, "wrong password"), "Unauthenticated"),
            "refused": (raises(ConnectionRefusedError, "refused"), "Unreachable"),
            "odd": (lambda: SimpleNamespace(capability={"commands": "all"}), "BadReply"),
            "nothing": (lambda: None, "BadReply"),
        }
        for name, (does, kind) in cases.items():
            driver = SimpleNamespace(id="opens", open=lambda opts, does=does: does())
            with self.assertRaises(HeadframeError, msg=name) as caught:
                await self.device(driver, {})
            self.assertEqual(caught.exception.kind, kind)

    async def test_what_is_no_driver_is_refused(self) -> None:
        drivers: list[Any] = [None, 7, SimpleNamespace(id="x"), SimpleNamespace(id=7, open=print), SimpleNamespace(open=print)]
        for odd in drivers:
            with self.assertRaises(Invalid):
                await headframe.open_device("x", {}, drivers=[odd])


class Sited(DriverCase):
    async def test_a_thing_that_hangs_costs_nobody_else_a_reading(self) -> None:
        box = await self.box()
        things = [{"id": "well", "opts": box.opts()}, {"id": "hangs", "opts": box.opts(hangs=True)}]
        site = await self.sited(Acme(), things)
        seen = await readings(site, at_least(well=5, hangs=2))
        well = [reading for reading in seen if reading.thing == "well"]
        self.assertEqual({(reading.error, reading.snapshot["stats.power_w"]) for reading in well}, {(None, 3_000)})
        self.assertEqual([reading.seq for reading in well], list(range(well[0].seq, well[0].seq + len(well))))
        errors = [reading.error or {} for reading in seen if reading.thing == "hangs"]
        self.assertEqual({error["kind"] for error in errors}, {"Timeout"})

    async def test_what_is_never_answered_ends_with_the_poll_that_asked(self) -> None:
        waiting: set[object] = set()

        async def snapshot() -> Any:
            waiting.add(poll := object())
            try:
                await for_ever()
            finally:
                waiting.discard(poll)

        site = await self.sited(Does({"hangs": snapshot}), [{"id": "a", "opts": {"address": HERE, "name": "hangs"}}])
        await readings(site, at_least(a=4))
        self.assertLessEqual(len(waiting), 2)
        await site.aclose()
        await until(lambda: asyncio.sleep(0, waiting), lambda left: not left, within=5)

    async def test_what_two_people_approved_is_written_once_and_read_back(self) -> None:
        box = await self.box()
        site = await self.sited(Acme(), [{"id": "a", "opts": box.opts(), "info": {"macAddress": MAC}}])
        await readings(site, at_least(a=2))
        id = (await site.actions.push(LOW, "ann@site"))["id"]
        self.assertEqual(box.writes, [])
        await site.actions.vote(id, {"approve": True}, "bob@site")
        done = await settled(site, id)
        self.assertEqual((done["status"], done["counts"]["ok"]), ("COMPLETED", 1), done["targets"])
        self.assertIn('"state": "verified"', json.dumps(done["targets"]))
        self.assertEqual(box.writes, ["low"])
        seen = await readings(site, lambda seen: any(reading.snapshot.get("stats.power_w") == 2_000 for reading in seen))
        self.assertIsNone(seen[-1].error)

    async def test_a_write_for_another_device_than_the_registered_one_is_refused(self) -> None:
        box = await self.box()
        site = await self.sited(Acme(), [{"id": "a", "opts": box.opts(), "info": {"macAddress": "AA:BB:CC:00:00:99"}}])
        await readings(site, at_least(a=2))
        id = (await site.actions.push(LOW, "ann@site"))["id"]
        await site.actions.vote(id, {"approve": True}, "bob@site")
        done = await settled(site, id)
        self.assertEqual((done["status"], done["counts"]["failed"]), ("FAILED", 1), done["targets"])
        self.assertIn("ERR_IDENTITY_MISMATCH", json.dumps(done["targets"]))
        self.assertEqual(box.writes, [])

    async def test_things_are_closed_with_their_site(self) -> None:
        box, driver = await self.box(), Acme()
        site = await self.sited(driver, [{"id": name, "opts": box.opts()} for name in "ab"])
        await readings(site, at_least(a=1, b=1))
        await site.aclose()
        self.assertEqual(driver.closed, 2)

    async def test_a_driver_calls_back_into_its_own_site(self) -> None:
        made: list[Site] = []

        async def snapshot() -> Any:
            page, told = await asyncio.gather(made[0].list({"status": True}), made[0].call(ANN, "ping", {"n": 7}))
            return said({"watts": 1_000 * len(page["items"]) + told["n"], "mode": "normal"})

        driver = Does({"calls": snapshot})
        made.append(await self.sited(driver, [], deadlineMs=5_000))
        await made[0].register("miner-does-a", [{"id": "a", "opts": {"address": HERE, "name": "calls"}}], "ann@site")
        seen = await readings(made[0], at_least(a=2))
        self.assertEqual([reading.snapshot["stats.power_w"] for reading in seen[:2]], [1_007] * 2)

    async def test_a_driver_closes_its_own_site(self) -> None:
        made: list[Site] = []
        ended: list[Any] = []

        async def snapshot() -> Any:
            try:
                await made[0].aclose(within_ms=200)
            finally:
                # Its own poll is ended with the site.
                ended.append(True)

        made.append(await self.sited(Does({"closes": snapshot}), [], deadlineMs=5_000))
        await made[0].register("miner-does-a", [{"id": "a", "opts": {"address": HERE, "name": "closes"}}], "ann@site")
        await until(lambda: asyncio.sleep(0, ended), bool, within=20)
        with self.assertRaises(Closed):
            await made[0].list()
        self.assertIsNone(await made[0].aclose())


def at_least(**wanted: int) -> Callable[[list[headframe.Reading]], bool]:
    """Whether each thing has so many readings."""

    def enough(seen: list[headframe.Reading]) -> bool:
        names = [reading.thing for reading in seen]
        return all(names.count(name) >= count for name, count in wanted.items())

    return enough


class Loops(DriverCase):
    async def test_a_driver_whose_event_loop_has_ended_is_closed(self) -> None:
        opened = headframe.open_device("does", {"address": HERE, "name": "a"}, drivers=[Does()])
        device = await asyncio.to_thread(asyncio.run, opened)
        with self.assertRaises(Closed):
            await device.snapshot()
        with self.assertRaises(Closed) as caught:
            await device.execute("setPowerMode", "low")
        self.assertEqual(caught.exception.sent, "no")
        await device.aclose()

    async def test_a_call_ends_with_the_event_loop_that_it_is_answered_on(self) -> None:
        opened: concurrent.futures.Future[headframe.Device] = concurrent.futures.Future()
        leave = threading.Event()

        async def lives() -> None:
            device = headframe.open_device("does", {"address": HERE, "name": "a"}, drivers=[Does({"a": for_ever})])
            opened.set_result(await device)
            await asyncio.to_thread(leave.wait)

        thread = asyncio.ensure_future(asyncio.to_thread(asyncio.run, lives()))
        device = await asyncio.wrap_future(opened)
        call = asyncio.ensure_future(device.snapshot())
        await asyncio.sleep(0.2)
        self.assertFalse(call.done())
        leave.set()
        with self.assertRaises(Closed):
            await asyncio.wait_for(call, 10)
        await thread

    async def test_things_of_an_event_loop_that_has_ended_cost_nobody_else_a_reading(self) -> None:
        racks = [
            {"type": "miner-does", "name": "a", "driver": "does", "intervalMs": 300},
            {"type": "miner-wm-m50s", "name": "hall", "driver": "whatsminer", "intervalMs": 300},
        ]
        simulator = await self.simulated("127.106.51.1")
        opened = Site.open(self.folder() / "site", {"racks": racks}, how="create", drivers=[Does()])
        site = await asyncio.to_thread(asyncio.run, opened)
        self.addAsyncCleanup(site.aclose)
        await site.register("miner-does-a", [{"id": "gone", "opts": {"address": HERE, "name": "a"}}], "ann")
        port = simulator.devices()[0]["ports"]["rpc"]
        await site.register("miner-wm-m50s-hall", [{"id": "well", "opts": {"address": "127.106.51.1", "port": port}}], "ann")
        seen = await readings(site, at_least(well=4, gone=1))
        errors = {(reading.thing, (reading.error or {}).get("kind")) for reading in seen}
        self.assertEqual(errors, {("well", None), ("gone", "Closed")})


class Sync(unittest.TestCase):
    def served(self) -> Box:
        """A device on a loop of its own."""
        box, begun, leave = Box(), threading.Event(), threading.Event()

        async def live() -> None:
            await box.start(HERE)
            begun.set()
            await asyncio.to_thread(leave.wait)
            await box.aclose()

        thread = threading.Thread(target=asyncio.run, args=(live(),))
        thread.start()
        self.addCleanup(thread.join, 10)
        self.addCleanup(leave.set)
        self.assertTrue(begun.wait(10))
        return box

    def test_coroutines_and_plain_functions_both_read_and_write(self) -> None:
        for driver in (Acme(), PlainAcme):
            box = self.served()
            with sync.open_device(driver.id, box.opts(), drivers=[driver]) as device:
                self.assertEqual(device.snapshot()["stats.power_w"], 3_000)
                self.assertEqual(device.execute("setPowerMode", "low")["state"], "verified")
            self.assertEqual(box.writes, ["low"])

    def test_a_driver_is_asked_on_one_thread_that_ends_with_its_device(self) -> None:
        asked: set[threading.Thread] = set()

        def snapshot() -> Any:
            asked.add(threading.current_thread())
            return said({"watts": 1_000, "mode": "normal"})

        with sync.open_device("does", {"address": HERE, "name": "a"}, drivers=[Does({"a": snapshot})]) as device:
            for _ in range(3):
                device.snapshot()
        del device
        (thread,) = asked
        self.assertIsNot(thread, threading.current_thread())
        thread.join(10)
        self.assertFalse(thread.is_alive())

    def test_what_is_asked_while_the_event_loop_ends_is_closed(self) -> None:
        ends, asked = threading.Event(), threading.Event()
        held: list[Any] = []

        async def lingers() -> None:
            try:
                await for_ever()
            finally:
                ends.set()
                await asyncio.to_thread(asked.wait)

        async def snapshot() -> Any:
            if held:
                asked.set()
                await for_ever()
            held.append(asyncio.ensure_future(lingers()))
            await asyncio.sleep(0)
            raise SystemExit

        with sync.open_device("does", {"address": HERE, "name": "a"}, drivers=[Does({"a": snapshot})]) as device:
            for _ in range(3):
                with self.assertRaises(Closed):
                    device.snapshot(within_ms=20_000)
                self.assertTrue(ends.wait(10))
            self.assertTrue(asked.is_set())
