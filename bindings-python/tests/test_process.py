"""The package and its process: threads, event loops, Ctrl-C, forks, and the end of the interpreter."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import threading
import unittest

import headframe
from headframe import sync

from tests.support import ANN, AsyncCase, conf, folder, program


class Loops(AsyncCase):
    async def test_two_event_loops_in_two_threads_use_one_site(self) -> None:
        site = await self.polled(await self.simulated("127.106.10.1", whatsminers=2))
        both = threading.Barrier(2, timeout=20)

        async def uses(n: int) -> tuple[int, int, int]:
            both.wait()
            async with site.subscribe() as stream:
                answers = await asyncio.gather(*(site.call(ANN, "ping", {"n": n * 1_000 + at}) for at in range(50)))
                listed = [await site.list({"status": True}) for _ in range(10)]
                batch = await anext(stream)
            told = sum(answer["n"] for answer in answers)
            return told, sum(len(page["items"]) for page in listed), len(batch)

        used = await asyncio.gather(*(asyncio.to_thread(asyncio.run, uses(n)) for n in (1, 2)))
        self.assertEqual([told for told, _, _ in used], [sum(range(n * 1_000, n * 1_000 + 50)) for n in (1, 2)])
        self.assertEqual([things for _, things, _ in used], [20, 20])
        self.assertTrue(all(batch for _, _, batch in used))
        # The loops are gone, and the site is not.
        self.assertEqual(len((await site.list())["items"]), 2)

    async def test_two_event_loops_share_one_stream(self) -> None:
        site = await self.polled(await self.simulated("127.106.11.1", whatsminers=4))
        stream = site.subscribe()
        seen: list[tuple[str, int]] = []

        async def takes() -> None:
            for _ in range(10):
                seen.extend((reading.thing, reading.seq) for reading in await anext(stream))

        await asyncio.gather(*(asyncio.to_thread(asyncio.run, takes()) for _ in range(2)))
        self.assertEqual(len(seen), len(set(seen)))
        by_thing = {thing: sorted(seq for of, seq in seen if of == thing) for thing, _ in seen}
        for thing, numbers in by_thing.items():
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))), thing)

    async def test_an_event_loop_that_ends_in_the_middle_of_calls_leaves_the_site_alone(self) -> None:
        site = await self.site(conf())

        async def leaves() -> None:
            for _ in range(20):
                asyncio.ensure_future(anext(site.subscribe()))
                asyncio.ensure_future(site.list())
            await asyncio.sleep(0)

        await asyncio.to_thread(asyncio.run, leaves())
        self.assertEqual(await site.call(ANN, "ping", {"n": 7}), {"n": 7})
        self.assertIsNotNone(await site.aclose())

    async def test_closed_by_many_at_once_one_is_told_what_became_of_it(self) -> None:
        site = await self.site()
        calls = [asyncio.ensure_future(site.list()) for _ in range(50)]
        ended = await asyncio.gather(*(site.aclose() for _ in range(10)))
        self.assertEqual(sum(report is not None for report in ended), 1)
        for fate in await asyncio.gather(*calls, return_exceptions=True):
            self.assertIsInstance(fate, (dict, headframe.Closed))


class Interpreters(AsyncCase):
    async def test_a_second_interpreter_does_not_get_the_package_and_leaves_it_alone(self) -> None:
        try:
            interpreters = importlib.import_module("_xxsubinterpreters")
        except ImportError:
            self.skipTest("this Python has no second interpreter to try it with")
        site = await self.site()
        other = interpreters.create()
        with self.assertRaises(interpreters.RunFailedError) as caught:
            interpreters.run_string(other, "import headframe")
        self.assertIn("ImportError", str(caught.exception))
        # Its handlers for the end run now.
        interpreters.destroy(other)
        self.assertEqual(await site.call(ANN, "ping", {"n": 7}), {"n": 7})


class Interrupted(unittest.TestCase):
    def interrupted(self, what: str, base: str) -> None:
        done = program("interrupted", what, folder(self) / "site", base)
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual((told["told"], told["after"]), ("KeyboardInterrupt", 0))
        self.assertLess(told["late"], 1)

    def test_ctrl_c_ends_a_scan(self) -> None:
        self.interrupted("scan", "127.106.20.1")

    def test_ctrl_c_ends_a_call_to_a_device(self) -> None:
        self.interrupted("snapshot", "127.106.21.1")

    def test_ctrl_c_ends_the_wait_for_a_reading(self) -> None:
        self.interrupted("stream", "127.106.22.1")

    def test_ctrl_c_ends_an_event_loop_that_waits_for_a_reading(self) -> None:
        self.interrupted("asyncio", "127.106.23.1")


@unittest.skipUnless(hasattr(os, "fork"), "this system has no fork")
class Forked(unittest.TestCase):
    def forked(self, end: str, base: str) -> None:
        done = program("forked", end, folder(self) / "site", base, within=40)
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual(len(told["child"]), 12)
        self.assertEqual(set(told["child"].values()), {"Closed ERR_FORKED"}, told["child"])
        self.assertEqual((told["ended"], told["things"], told["left"]), ("code 0", 1, 0))

    def test_a_child_that_ends_at_once_is_told_that_it_was_forked_and_the_parent_goes_on(self) -> None:
        self.forked("at once", "127.106.24.1")

    def test_a_child_that_ends_in_order_leaves_its_parent_everything(self) -> None:
        self.forked("in order", "127.106.25.1")


@unittest.skipUnless(hasattr(os, "fork"), "limits of a process are told in another way here")
class Starved(unittest.TestCase):
    def test_without_files_for_its_threads_a_call_says_so_and_a_later_one_works(self) -> None:
        done = program("starved", folder(self) / "site")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout), {"starved": ["RateLimited ERR_NO_THREADS"] * 3, "later": {"n": 7}})
        self.assertEqual(done.stderr, "")


class Ends(unittest.TestCase):
    def ends(self, face: str, how: str, base: str) -> tuple[int, str]:
        """Runs it to its end, after which its site opens again; what was read is there, unless it was killed."""
        path = folder(self) / "site"
        done = program("live", face, how, path, base, within=20)
        self.assertTrue(done.stdout, done.stderr)
        with sync.Site.open(path, conf(60_000)) as site:
            self.assertEqual([item["id"] for item in site.list()["items"]], ["m-0", "m-1"])
            for thing, seen in json.loads(done.stdout).items() if how != "kill" else ():
                power = {"things": {"ids": [thing]}, "metric": "stats.power_w", "step": "raw"}
                kept = site.series({**power, "from": 1_700_000_000_000, "to": 4_100_000_000_000})["columns"][0]["ts"]
                self.assertGreaterEqual(len(kept), seen)
        return done.returncode, done.stderr

    def test_a_program_for_asyncio_ends_with_a_live_site(self) -> None:
        self.assertEqual(self.ends("asyncio", "end", "127.106.30.1"), (0, ""))

    def test_a_script_ends_with_a_live_site_and_threads_that_wait(self) -> None:
        self.assertEqual(self.ends("sync", "end", "127.106.31.1"), (0, ""))

    def test_a_program_keeps_its_own_exit_code(self) -> None:
        for face in ("asyncio", "sync"):
            self.assertEqual(self.ends(face, "exit", "127.106.32.1"), (7, ""))

    def test_a_program_that_fails_says_its_own_error(self) -> None:
        for face in ("asyncio", "sync"):
            code, said = self.ends(face, "raise", "127.106.33.1")
            self.assertEqual(code, 1)
            self.assertTrue(said.rstrip().endswith("RuntimeError: nobody caught this"), said)

    def test_a_program_that_is_killed_leaves_its_site_as_it_was(self) -> None:
        code, _ = self.ends("sync", "kill", "127.106.34.1")
        self.assertLess(code, 0)

    def test_a_program_ends_in_the_middle_of_very_many_calls_of_its_threads(self) -> None:
        for _ in range(8):
            done = program("busy_end", folder(self) / "site")
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_program_may_call_in_its_last_moment(self) -> None:
        done = program("last_moment", folder(self) / "site", "127.109.253.1")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        told = json.loads(done.stdout)
        self.assertEqual(told, {"site": "Closed", "device": "Closed", "device, waiting": "an answer"})

    def test_a_program_ends_right_after_calls_that_were_cancelled(self) -> None:
        for _ in range(10):
            done = program("cancelled", "127.106.35.1")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
