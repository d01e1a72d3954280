"""Scripts as people have them for pyasic 0.79, over simulated devices."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import socket
import time
import unittest
from typing import Any

from headframe import Conflict, HeadframeError, Invalid, Rejected, Simulator, Timeout, Unauthenticated, Unsupported
from headframe.compat import pyasic
from headframe.compat.pyasic import _listener

from .test_compat_pyasic import EXAMPLE

BASE = "127.61.0.1"
SIMULATED = {"simulated": True}


class Simulated(unittest.IsolatedAsyncioTestCase):
    async def start(self, **conf: Any) -> Simulator:
        simulator = await Simulator.start(base=BASE, **conf)
        self.addAsyncCleanup(simulator.aclose)
        self.set("ports", SIMULATED)
        return simulator

    def set(self, key: str, value: Any) -> None:
        self.addCleanup(pyasic.settings.update, key, pyasic.settings.get(key))
        pyasic.settings.update(key, value)

    async def miner(self, address: str = BASE) -> pyasic.BaseMiner:
        miner = await pyasic.get_miner(address)
        assert miner is not None
        self.addAsyncCleanup(miner.aclose)
        return miner


class Reading(Simulated):
    async def test_a_whatsminer_tells_what_it_is_and_does(self) -> None:
        simulator = await self.start(whatsminers=1, seed=61)
        truth, (device,) = simulator.truth(0), simulator.devices()
        miner = await self.miner()
        self.assertEqual((miner.make, miner.firmware, miner.algo), ("WhatsMiner", "Stock", "SHA256"))
        self.assertEqual(str(miner), f"{miner.model}: {BASE}")
        data = await miner.get_data()
        self.assertEqual((data.make, data.model, data.mac), ("WhatsMiner", miner.model, device["mac"]))
        assert data.hashrate and data.expected_hashrate and data.wattage is not None
        self.assertAlmostEqual(float(data.hashrate), truth["nominal_mhs"] / 1e6, delta=20)
        self.assertAlmostEqual(data.wattage, truth["power_w"], delta=200)
        self.assertEqual((data.is_mining, data.fault_light, data.errors), (True, False, []))
        self.assertEqual(len(data.hashboards), data.expected_hashboards)
        self.assertEqual(data.nominal, data.total_chips == data.expected_chips)
        self.assertEqual(len(data.fans), data.expected_fans)
        self.assertTrue(all(board.active and board.temp and not board.missing for board in data.hashboards))
        self.assertTrue(90 < (data.percent_expected_hashrate or 0) < 110)
        self.assertEqual(data.efficiency, round(data.wattage / float(data.hashrate)))
        self.assertEqual(str(data.pools[0].url), "stratum+tcp://pool1.example:3333")
        self.assertTrue((data.pools[0].user or "").startswith("site1.w"))
        self.assertLess(abs(data.timestamp - time.time()), 5)
        self.assertEqual(list(json.loads(data.as_json())), list(EXAMPLE))

    async def test_an_antminer_tells_what_it_is_and_does(self) -> None:
        simulator = await self.start(antminers=1, seed=62)
        truth, (device,) = simulator.truth(0), simulator.devices()
        miner = await self.miner()
        data = await miner.get_data()
        self.assertEqual((data.make, data.algo, data.mac), ("AntMiner", "SHA256", device["mac"]))
        self.assertEqual(f"Antminer {miner.model}", device["model"])
        assert data.hashrate
        self.assertAlmostEqual(float(data.hashrate), truth["nominal_mhs"] / 1e6, delta=20)
        self.assertIsNone(data.env_temp)
        self.assertEqual((data.nominal, data.percent_expected_chips), (True, 100))
        self.assertIn("wattage=", data.as_influxdb())
        self.assertEqual(await miner.get_mac(), device["mac"])
        self.assertEqual(await miner.is_mining(), True)

    async def test_a_network_is_scanned_in_order_or_as_they_come(self) -> None:
        await self.start(whatsminers=2, antminers=1, seed=63)
        network = pyasic.MinerNetwork.from_subnet("127.61.0.0/29")
        miners = await network.scan()
        self.assertEqual([miner.ip for miner in miners], ["127.61.0.1", "127.61.0.2", "127.61.0.3"])
        self.assertEqual([miner.make for miner in miners], ["WhatsMiner", "WhatsMiner", "AntMiner"])
        self.assertEqual(sorted(miners, reverse=True), miners[::-1])
        told = await asyncio.gather(*(miner.get_data() for miner in miners))
        self.assertTrue(all(data.is_mining for data in told))
        backwards = pyasic.MinerNetwork.from_list(["127.61.0.3", "127.61.0.1"])
        self.assertEqual([miner.ip for miner in await backwards.scan()], ["127.61.0.3", "127.61.0.1"])
        seen = set()
        async for miner in network.scan_network_generator():
            seen.add(miner.ip)
        self.assertEqual(seen, {miner.ip for miner in miners})
        self.assertEqual(len(seen | set(miners[:1])), 4)
        many = await pyasic.miner_factory.get_multiple_miners(["127.61.0.2", "127.61.0.9"])
        self.assertEqual(many, [miners[1]])

    async def test_where_nothing_is_there_is_none(self) -> None:
        await self.start(whatsminers=1, seed=64)
        self.assertIsNone(await pyasic.get_miner("127.61.0.9"))
        self.assertIsNone(await pyasic.get_miner(BASE, ports={}))
        self.assertEqual(await pyasic.MinerNetwork.from_list([]).scan(), [])
        self.assertIsNotNone(await pyasic.get_miner(ipaddress.IPv4Address(BASE)))

    async def test_a_wrong_address_is_refused(self) -> None:
        wrong: tuple[Any, ...] = ("10.0.0", "10.0.0.0/24", "miner", "::1", "", None, 7, b"10.0.0.1")
        for address in wrong:
            with self.assertRaises(Invalid) as caught:
                await pyasic.get_miner(address)
            self.assertEqual(caught.exception.context["field"], "ip")
        with self.assertRaises(Invalid):
            await pyasic.get_miner(BASE, ports={"ssh": 22})

    async def test_a_miner_that_hangs_takes_nothing_from_the_others(self) -> None:
        simulator = await self.start(whatsminers=2, seed=65)
        self.set("api_function_timeout", 1)
        miners = await pyasic.MinerNetwork.from_list([BASE, "127.61.0.2"]).scan()
        simulator.fault(0, {"kind": "hang"})
        began = time.monotonic()
        with self.assertLogs("headframe.compat.pyasic", "WARNING"):
            silent, other = await asyncio.gather(*(miner.get_data() for miner in miners))
        self.assertLess(time.monotonic() - began, 5)
        self.assertTrue(other.is_mining)
        self.assertEqual((silent.is_mining, silent.hashrate, silent.wattage), (None, None, None))
        self.assertEqual((silent.make, silent.model), ("WhatsMiner", miners[0].model))
        self.assertIn("ERR_TIMEOUT", str(silent.errors[0]))
        simulator.clear(0)
        self.assertTrue((await miners[0].get_data()).is_mining)

    async def test_a_lost_board_is_missing(self) -> None:
        simulator = await self.start(whatsminers=1, antminers=1, seed=66)
        for index, address in enumerate((BASE, "127.61.0.2")):
            simulator.fault(index, {"kind": "boardLost", "slot": 1})
            data = await (await self.miner(address)).get_data()
            self.assertEqual([board.slot for board in data.hashboards if board.missing], [1])
            self.assertEqual(data.nominal, False)


class Loops(unittest.TestCase):
    def test_each_call_may_have_a_loop_of_its_own(self) -> None:
        simulator = asyncio.run(Simulator.start(base=BASE, antminers=1, seed=72))
        try:
            miner = asyncio.run(pyasic.get_miner(BASE, ports=SIMULATED))
            assert miner is not None
            self.assertTrue(asyncio.run(miner.get_data()).is_mining)
            self.assertTrue(asyncio.run(miner.fault_light_on()))
            self.assertTrue(asyncio.run(miner.get_data()).fault_light)
            asyncio.run(miner.aclose())
            self.assertTrue(asyncio.run(miner.get_data()).is_mining)
        finally:
            asyncio.run(simulator.aclose())


class Writing(Simulated):
    async def test_writes_are_true_once_they_are_seen(self) -> None:
        simulator = await self.start(whatsminers=1, antminers=1, seed=67)
        for index, address in enumerate((BASE, "127.61.0.2")):
            miner = await self.miner(address)
            self.assertTrue(await miner.fault_light_on())
            self.assertTrue(miner.light)
            self.assertTrue((await miner.get_data()).fault_light)
            self.assertTrue(await miner.fault_light_off())
            self.assertTrue(await miner.stop_mining())
            self.assertTrue(simulator.truth(index)["asleep"])
            data = await miner.get_data()
            self.assertEqual((data.is_mining, bool(data.expected_chips)), (False, True))
            self.assertTrue(await miner.stop_mining(), "it stands already")
            self.assertTrue(await miner.resume_mining())

    async def test_a_power_limit_is_set_where_there_is_one(self) -> None:
        simulator = await self.start(whatsminers=1, antminers=1, seed=68)
        miner = await self.miner()
        self.assertTrue(await miner.set_power_limit(3000))
        self.assertEqual((await miner.get_data()).wattage_limit, 3000)
        with self.assertRaises(Invalid) as caught:
            await miner.set_power_limit(900_000)
        self.assertEqual(caught.exception.context["field"], "power_limit_w")
        for wrong in ("3000", None, True, float("nan")):
            with self.assertRaises(Invalid):
                await miner.set_power_limit(wrong)  # type: ignore[arg-type]
        with self.assertLogs("headframe.compat.pyasic", "WARNING"):
            self.assertFalse(await (await self.miner("127.61.0.2")).set_power_limit(3000))
        self.assertEqual(simulator.truth(1)["executed"], {})

    async def test_what_nobody_knows_is_raised(self) -> None:
        simulator = await self.start(whatsminers=1, seed=69)
        self.set("write_timeout", 2)
        miner = await self.miner()
        simulator.fault(0, {"kind": "ignoreWrites"})
        with self.assertRaises(HeadframeError) as caught:
            await miner.fault_light_on()
        self.assertEqual(caught.exception.sent, "maybe")
        self.assertIs(pyasic.APIError, HeadframeError)

    async def test_a_wrong_password_is_said_and_a_right_one_is_taken(self) -> None:
        await self.start(whatsminers=1, seed=70)
        self.set("default_whatsminer_rpc_password", "hidden-word")
        miner = await self.miner()
        self.assertTrue((await miner.get_data()).is_mining)
        with self.assertRaises(Unauthenticated) as caught:
            await miner.fault_light_on()
        self.assertNotIn("hidden-word", f"{caught.exception} {miner.rpc!r}")
        assert miner.rpc is not None
        miner.rpc.pwd = "admin"
        self.assertTrue(await miner.fault_light_on())

    async def test_each_end_of_a_write_has_its_answer(self) -> None:
        self.addCleanup(logging.disable, logging.NOTSET)
        logging.disable(logging.WARNING)
        await self.start(whatsminers=1, seed=71)
        miner = await self.miner()
        for end, want in (
            ("verified", True),
            ("accepted", True),
            ("unchanged", True),
            (Rejected("no"), False),
            (Unsupported("no"), False),
        ):
            miner._opened = (miner._opts(), _Fake(end))  # type: ignore[assignment]
            self.assertEqual(await miner.reboot(), want, end)
        for open_end in ("sent", Rejected("?", sent="maybe"), Timeout("?", sent="maybe"), Timeout("no")):
            miner._opened = (miner._opts(), _Fake(open_end))  # type: ignore[assignment]
            with self.assertRaises(HeadframeError):
                await miner.reboot()
        miner._opened = None


class _Fake:
    """A device whose writes end as they are told."""

    def __init__(self, end: str | HeadframeError) -> None:
        self.end = end

    async def execute(self, name: str, args: object = None, *, within_ms: int) -> dict[str, Any]:
        if isinstance(self.end, HeadframeError):
            raise self.end
        return {"state": self.end}


class Listening(unittest.IsolatedAsyncioTestCase):
    def test_reports_are_read_in_all_their_forms(self) -> None:
        mac = "AA:BB:CC:0D:0E:0F"
        for read, said, want in (
            (_listener.pair, b"10.0.0.7,aa:bb:cc:0d:0e:0f", ("10.0.0.7", mac)),
            (_listener.pair, b"[10.0.0.7/255.255.255.0,AABBCC0D0E0F]", ("10.0.0.7", mac)),
            (_listener.pair, b"10.0.0.777,aa-bb-cc-0d-0e-0f\0", (None, mac)),
            (_listener.pair, b"10.0.0.7,00:00:00:00:00:00", ("10.0.0.7", None)),
            (_listener.pair, b"255.255.255.255,\xff", (None, None)),
            (_listener.pair, b"OK\0\0\0\0", (None, None)),
            (_listener.labelled, b"IP:10.0.0.8MAC:c8:11:05:00:0a:0b1", ("10.0.0.8", "C8:11:05:00:0A:0B")),
            (_listener.labelled, b"10.0.0.8", (None, None)),
            (_listener.labelled, b"", (None, None)),
        ):
            self.assertEqual(read(said), want, said)

    async def test_reports_come_as_they_are_sent(self) -> None:
        listener = pyasic.MinerListener("127.61.0.1", ports={"antminer": 0, "whatsminer": 0})
        heard: list[dict[str, str | None]] = []

        async def hear() -> None:
            async for report in listener.listen():
                heard.append(report)

        task = asyncio.create_task(hear())
        await asyncio.sleep(0.1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            to = {name: ("127.61.0.1", port) for name, port in listener.ports.items()}
            sender.sendto(b"x" * 2000, to["antminer"])
            sender.sendto(b"garbage", to["antminer"])
            sender.sendto(b"10.0.0.7,aa:bb:cc:0d:0e:0f", to["antminer"])
            await asyncio.sleep(0.1)
            for _ in range(100):
                sender.sendto(b"IP:10.0.0.8MAC:C8:11:05:00:0A:0B\0", to["whatsminer"])
            await asyncio.sleep(0.2)
        self.assertEqual(heard[0], {"IP": "10.0.0.7", "MAC": "AA:BB:CC:0D:0E:0F"})
        self.assertEqual(heard[1], {"IP": "10.0.0.8", "MAC": "C8:11:05:00:0A:0B"})
        self.assertEqual(len(heard), 21, "a sender has so many in ten seconds")
        await listener.close()
        await asyncio.wait_for(task, 1)

    async def test_a_port_that_is_taken_is_said(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.61.0.1", 0))
            listener = pyasic.MinerListener("127.61.0.1", ports={"antminer": 0, "whatsminer": taken.getsockname()[1]})
            with self.assertRaises(Conflict):
                await anext(listener.listen())
        await listener.close()
        for wrong in (None, 7, "here", "::1"):
            with self.assertRaises(Invalid):
                pyasic.MinerListener(wrong)  # type: ignore[arg-type]
        with self.assertRaises(Invalid):
            pyasic.MinerListener(ports={"bitaxe": 1})


if __name__ == "__main__":
    unittest.main()
