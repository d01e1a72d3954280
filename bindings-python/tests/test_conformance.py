"""The conformance kit, over drivers in Python."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import headframe
from headframe import Invalid, testkit
from headframe.testkit import Clock

from tests.faulty_kilns import FAULTS
from tests.kiln import MAC, MODEL, PASSWORD, Device
from tests.kiln_driver import Kiln
from tests.kiln_rig import KilnRig
from tests.support import PEOPLE, TWO_VOTES, AsyncCase, readings, settled

LOW: dict[str, Any] = {"action": "setPowerMode", "params": ["low"], "query": {}}


class KilnCase(AsyncCase):
    async def rig(self, make: Callable[[Clock], Kiln] = Kiln) -> KilnRig:
        rig = await KilnRig.start(make)
        self.addCleanup(rig.device.stop)
        return rig

    async def failure(self, case: str, make: Callable[[Clock], Kiln] = Kiln) -> str | None:
        """Why a case fails; None when it does not."""
        try:
            await testkit.run(case, await self.rig(make))
        except AssertionError as e:
            return str(e)
        return None


class Conformance(KilnCase):
    async def test_a_driver_in_python_passes_every_case(self) -> None:
        failures = await asyncio.gather(*map(self.failure, testkit.cases()))
        self.assertEqual({case: why for case, why in zip(testkit.cases(), failures) if why is not None}, {})

    async def test_a_driver_with_a_fault_fails_the_case_that_is_about_it(self) -> None:
        failures = await asyncio.gather(*(self.failure(case, make) for make, case, _ in FAULTS))
        for (_, case, word), why in zip(FAULTS, failures):
            with self.subTest(case, word=word):
                self.assertIsNotNone(why)
                self.assertTrue(str(why).startswith(f"{case}: "), why)
                self.assertIn(word, str(why))

    async def test_the_cases_are_those_of_the_kit(self) -> None:
        cases, left_out = testkit.cases(), testkit.left_out()
        self.assertEqual((len(cases), set(left_out)), (25, {"same_seed_same_bytes"}))
        self.assertIn("snapshot_is_the_devices_truth", cases)
        for case, why in (("same_seed_same_bytes", "does not apply"), ("it_is_fast", "no such case")):
            with self.assertRaisesRegex(Invalid, why):
                await testkit.run(case, await self.rig())

    async def test_what_a_rig_raises_is_raised(self) -> None:
        rig = await self.rig()
        broken = ZeroDivisionError("of the rig")

        def truth() -> Any:
            raise broken

        setattr(rig, "truth", truth)
        with self.assertRaises(ZeroDivisionError) as caught:
            await testkit.run("the_direct_handle_reads_too", rig)
        self.assertIs(caught.exception, broken)

    async def test_a_rig_that_says_what_is_not_so_is_refused(self) -> None:
        for name, wrong in (("never_reported", ["stats.power"]), ("out_of_range", [{"name": "explode"}]), ("ports", {"ssh": 22})):
            rig = await self.rig()
            setattr(rig, name, lambda wrong=wrong: wrong)
            with self.assertRaises(Invalid, msg=name):
                await testkit.run("info_is_well_formed", rig)

    async def test_a_case_that_nobody_waits_for_ends(self) -> None:
        rig = await self.rig()
        case = asyncio.ensure_future(testkit.run("hanging_device_is_a_timeout", rig))
        while rig.device.requests < 4:
            await asyncio.sleep(0.02)
        case.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await case
        while rig.open_connections():
            await asyncio.sleep(0.02)
        asked = rig.device.requests
        await asyncio.sleep(0.5)
        self.assertEqual(rig.device.requests, asked)


class Sited(KilnCase):
    async def devices(self, count: int) -> list[Device]:
        """Some on one port."""
        first = (await self.rig()).device
        devices = [first]
        for _ in range(count - 1):
            device = Device(Clock())
            device.port = first.port
            host, _, last = devices[-1].host.rpartition(".")
            await device.start(f"{host}.{int(last) + 1}")
            self.addCleanup(device.stop)
            devices.append(device)
        return devices

    async def sited(self, drivers: Iterable[Any]) -> headframe.Site:
        racks = [{"type": "miner-kiln", "name": "a", "driver": "kiln", "intervalMs": 300}]
        return await self.site({"racks": racks, "people": PEOPLE, "policy": TWO_VOTES}, drivers=drivers)

    async def test_what_its_probe_finds_is_polled_and_written_to_once_approved(self) -> None:
        (device,) = await self.devices(1)
        site = await self.sited([Kiln()])
        logins = [{"driver": "kiln", "opts": {"password": PASSWORD}}]
        report = await site.find(device.host, "ann@site", ports={"web": device.port}, logins=logins)
        (thing,) = report["registered"]
        self.assertEqual((thing["info"]["macAddress"].upper(), thing["info"]["model"]), (MAC, MODEL))
        again = await site.find(device.host, "ann@site", ports={"web": device.port}, logins=logins)
        self.assertEqual((again["registered"], again["known"]), ([], [device.host]))
        seen = await readings(site, lambda seen: len(seen) >= 3)
        self.assertEqual({(reading.error, reading.snapshot["stats.power_w"]) for reading in seen}, {(None, 3_300)})
        id = (await site.actions.push(LOW, "ann@site"))["id"]
        self.assertEqual(dict(device.executed), {})
        await site.actions.vote(id, {"approve": True}, "bob@site")
        done = await settled(site, id)
        self.assertEqual((done["status"], done["counts"]["ok"]), ("COMPLETED", 1), done["targets"])
        self.assertEqual(dict(device.executed), {"/mode": 1})
        await readings(site, lambda seen: any(reading.snapshot.get("stats.power_w") == 1_800 for reading in seen))

    async def test_discover_finds_the_devices_of_a_driver_of_ones_own(self) -> None:
        device, other = await self.devices(2)
        ports = {"web": device.port}
        span = f"{device.host}-{other.host}"
        found = [one async for one in headframe.discover(span, ports=ports, drivers=[Kiln()])]
        devices = {one["address"]: one for one in found if one["event"] == "device"}
        self.assertEqual(set(devices), {device.host, other.host})
        one = devices[other.host]
        self.assertEqual((one["driver"], one["model"], one["firmware"], one["mac"]), ("kiln", MODEL, "1.4.0", MAC))
        self.assertEqual(one["opts"], {"address": other.host, "port": other.port})
        without = [one["event"] async for one in headframe.discover(span, ports=ports)]
        self.assertNotIn("device", without)

    async def test_what_is_wrong_with_a_probe_is_named(self) -> None:
        wrong: dict[str, Any] = {
            "probes": 7,
            "probes[1]": [{"get": "/hello", "says": "kiln"}, {"says": "kiln"}],
            "probes[0].get": [{"get": "hello", "says": "kiln"}],
            "probes[0].says": [{"get": "/hello"}],
            "probes[0].port": [{"get": "/hello", "says": "kiln", "port": "ssh"}],
            "probes[0].at": [{"get": "/hello", "says": "kiln", "at": "device"}],
            "probes[0].sais": [{"get": "/hello", "sais": "kiln"}],
        }
        for field, probes in wrong.items():
            driver = Kiln()
            driver.probes = probes
            with self.assertRaises(Invalid, msg=field) as caught:
                await headframe.open_device("kiln", {"address": "127.110.0.1"}, drivers=[driver])
            self.assertEqual(caught.exception.context["field"], field)

    async def test_a_page_that_is_no_text_is_refused(self) -> None:
        for docs in (7, b"# Kiln", "\ud800"):
            driver: Any = Kiln()
            driver.docs = docs
            with self.assertRaises(Invalid) as caught:
                await headframe.open_device("kiln", {"address": "127.110.0.1"}, drivers=[driver])
            self.assertEqual(caught.exception.context["field"], "docs")

    async def test_an_option_that_is_missing_is_named(self) -> None:
        with self.assertRaises(Invalid) as caught:
            await headframe.open_device("kiln", {}, drivers=[Kiln()])
        self.assertEqual(caught.exception.context["field"], "address")
