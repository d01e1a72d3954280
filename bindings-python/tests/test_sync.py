"""The package for scripts: the same, and everything waits."""

from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
import threading
import unittest
from pathlib import Path
from typing import Any

import headframe
from headframe import sync

from tests.support import ANN, RACK, SIMULATED, TWO_VOTES, conf, drafts, folder, opts

SOURCES = Path(__file__).resolve().parents[1]


class Generated(unittest.TestCase):
    def test_the_synchronous_package_is_made_of_the_other(self) -> None:
        package, made = SOURCES / "python" / "headframe", folder(self) / "made"
        tool = SOURCES / "tools" / "sync.py"
        subprocess.run([sys.executable, tool, package / "_async", made], check=True)
        names = sorted(path.name for path in made.glob("*.py"))
        self.assertEqual(names, sorted(path.name for path in (package / "_sync").glob("*.py")))
        for name in names:
            # Each Python writes the same program in its own way.
            new, there = (ast.dump(ast.parse((path / name).read_text("utf-8"))) for path in (made, package / "_sync"))
            self.assertEqual(new, there, name)

    def test_both_packages_have_the_same_names(self) -> None:
        errors = {name for name in headframe.__all__ if name[0].isupper() and issubclass(getattr(headframe, name), Exception)}
        self.assertEqual(set(sync.__all__), set(headframe.__all__) - errors)


class Calls(unittest.TestCase):
    def simulated(self, base: str, **more: Any) -> sync.Simulator:
        simulator = sync.Simulator.start(base=base, whatsminers=1, seed=1, **more)
        self.addCleanup(simulator.close)
        return simulator

    def polled(self, simulator: sync.Simulator, **more: Any) -> sync.Site:
        site = sync.Site.open(folder(self) / "site", conf(**more), how="create")
        self.addCleanup(site.close)
        site.register(RACK, drafts(simulator.devices()), "ann@site")
        return site

    def test_devices_are_found_and_a_scan_is_left_at_any_time(self) -> None:
        self.simulated("127.105.60.1", antminers=1)
        events = list(sync.discover("127.105.60.1-127.105.60.3", ports=SIMULATED))
        self.assertEqual([event["event"] for event in events], ["device", "device", "summary"])
        with sync.discover("127.105.60.1-127.105.60.3", ports=SIMULATED, concurrency=1) as scan:
            self.assertEqual(next(scan)["event"], "device")
        self.assertEqual(list(scan)[-1]["event"], "summary")
        self.assertEqual(list(scan), [])

    def test_a_device_is_read_and_written_to(self) -> None:
        simulator = self.simulated("127.105.61.1")
        with sync.open_device("whatsminer", opts(simulator.devices()[0])) as device:
            self.assertGreater(device.snapshot()["stats.power_w"], 1_000)
            self.assertEqual(device.execute("setPowerMode", "low")["state"], "verified")
        with self.assertRaises(headframe.Closed):
            device.snapshot()

    def test_a_site_streams_writes_and_ends(self) -> None:
        simulator = self.simulated("127.105.62.1")
        site = self.polled(simulator, policy=TWO_VOTES)
        with site.subscribe() as stream:
            for batch in stream:
                if batch[-1].seq >= 3:
                    break
        id = site.actions.push({"action": "setPowerMode", "params": ["sleep"], "query": {}}, "ann@site")["id"]
        with site.actions.watch() as changes:
            site.actions.vote(id, {"approve": True}, "bob@site")
            status = next(change["status"] for change in changes if change["status"] not in ("APPROVED", "EXECUTING"))
        self.assertEqual((status, simulator.truth(0)["executed"]), ("COMPLETED", {"power_off": 1}))
        self.assertEqual(site.call(ANN, "ping", {"n": 7}), {"n": 7})
        self.assertEqual((site.close() or {})["undelivered"], 0)
        self.assertIsNone(site.close())
        with self.assertRaises(headframe.Closed):
            site.list()

    def test_a_stream_that_another_thread_closes_ends_whoever_waits(self) -> None:
        site = sync.Site.open(folder(self) / "site", conf(), how="create")
        self.addCleanup(site.close)
        stream = site.subscribe()
        ended = threading.Event()

        def wait() -> None:
            for _ in stream:
                pass
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        self.assertFalse(ended.wait(0.1))
        stream.close()
        self.assertTrue(ended.wait(10))

    def test_other_threads_run_while_one_waits(self) -> None:
        simulator = self.simulated("127.105.63.1")
        simulator.fault(0, {"kind": "hang"})
        device = sync.open_device("whatsminer", opts(simulator.devices()[0]))
        self.addCleanup(device.close)
        waits = threading.Thread(target=lambda: self.assertRaises(headframe.Timeout, device.snapshot, within_ms=1_000))
        waits.start()
        turns = 0
        while waits.is_alive():
            waits.join(0.01)
            turns += 1
        self.assertGreater(turns, 20)

    def test_it_may_be_called_where_an_event_loop_runs(self) -> None:
        async def main() -> Any:
            with sync.Site.open(folder(self) / "site", {}, how="create") as site:
                return site.call(ANN, "ping", {"n": 7})

        self.assertEqual(asyncio.run(main()), {"n": 7})

    def test_both_packages_open_one_site_in_turn(self) -> None:
        path = folder(self) / "site"
        with sync.Site.open(path, {}, how="create") as site:
            made = site.id

        async def again() -> str:
            async with await headframe.Site.open(path, {}) as site:
                return site.id

        self.assertEqual(asyncio.run(again()), made)
