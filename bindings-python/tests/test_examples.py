"""The programs that a newcomer copies, run as they stand."""

from __future__ import annotations

import csv
import http.server
import importlib.util
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
import urllib.request
from typing import IO, Any

import nbclient
import nbformat

import headframe
from headframe.sync import Simulator, Site

from tests.support import RIGHTS, TWO_VOTES, AsyncCase, now, settled, until

HERE = pathlib.Path(__file__).parent.parent
EXAMPLES = HERE / "examples"
WITHIN = 60.0


def ran(program: str, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / program), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=WITHIN)


def begun(program: str, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(EXAMPLES / program), *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def line_with(lines: IO[str] | None, part: str) -> str:
    """The first line with a part; fails at the end of the output."""
    assert lines is not None
    for line in lines:
        if part in line:
            return line
    raise AssertionError(f"no line has {part}")


class Served:
    """An HTTP server that says one thing."""

    def __init__(self, case: unittest.TestCase, said: object) -> None:
        body = json.dumps(said).encode()

        class Says(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Says)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        case.addCleanup(server.server_close)
        case.addCleanup(server.shutdown)
        self.address = f"127.0.0.1:{server.server_port}"


class Prices(AsyncCase):
    async def follow(self, base: str, told: dict[str, Any]) -> tuple[headframe.Simulator, headframe.Site, Any]:
        spec = importlib.util.spec_from_file_location("price", EXAMPLES / "price.py")
        assert spec is not None and spec.loader is not None
        program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(program)
        simulator = await self.simulated(base)
        people = {who: RIGHTS for who in ("price@site", "bob@site", "ann@site")}
        site = await self.polled(simulator, people=people, policy=TWO_VOTES)
        # Nothing is written to a device that cannot be told from another.
        await until(now(site.counts), lambda counts: counts["pollsDone"] >= 3)
        return simulator, site, await program.follow(site, f"http://{Served(self, told).address}/price")

    async def test_a_high_price_lowers_the_watts_once_another_person_agreed(self) -> None:
        told = {"price_per_mwh": 120.5, "ts": int(time.time() * 1e3)}
        simulator, site, pushed = await self.follow("127.108.4.1", told)
        self.assertEqual(pushed["errors"], [])
        self.assertNotIn("set_power_limit", str(simulator.truth(0)["executed"]))
        await site.actions.vote(pushed["id"], {"approve": True}, "bob@site")
        view = await settled(site, pushed["id"])
        self.assertEqual((view["status"], view["counts"]["ok"]), ("COMPLETED", 1), view)
        self.assertLess(simulator.truth(0)["power_w"], 2_600)

    async def test_a_price_of_yesterday_changes_nothing(self) -> None:
        _, _, pushed = await self.follow("127.108.5.1", {"price_per_mwh": 120.5, "ts": 0})
        self.assertIsNone(pushed)


class Examples(unittest.TestCase):
    def folder(self) -> str:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return os.path.join(folder.name, "site")

    def simulator(self, base: str, miners: int) -> Simulator:
        simulator = Simulator.start(base=base, whatsminers=miners)
        self.addCleanup(simulator.close)
        return simulator

    def ends(self, program: subprocess.Popen[str]) -> None:
        program.kill()
        program.communicate()

    def test_the_first_program_of_the_readme_finds_three_miners(self) -> None:
        readme = (HERE / "README.md").read_text(encoding="utf-8")
        program = readme.split("```python\n")[1].split("```")[0]
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=WITHIN)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.stdout.count("'event': 'device'"), 3)
        self.assertLessEqual(len(program.strip().splitlines()), 5)

    def test_quickstart_reads_what_it_finds(self) -> None:
        done = ran("quickstart.py")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.count(" W, mining"), 2)

    def test_a_scan_becomes_csv(self) -> None:
        self.simulator("127.108.1.1", 3)
        done = ran("scan_to_csv.py", "127.108.1.1-127.108.1.4", "--simulated")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual({row["address"] for row in rows}, {f"127.108.1.{n}" for n in (1, 2, 3)})
        self.assertTrue(all(row["make"] == "WhatsMiner" or row["driver"] == "whatsminer" for row in rows))

    def test_miners_are_watched(self) -> None:
        self.simulator("127.108.2.1", 2)
        program = begun("watch.py", "127.108.2.1-127.108.2.2", self.folder(), "--simulated")
        try:
            self.assertIn("2 new", line_with(program.stdout, "new"))
            self.assertRegex(line_with(program.stdout, "online"), r"online, [0-9.]+ W")
        finally:
            self.ends(program)

    def test_a_driver_of_ones_own_is_polled(self) -> None:
        served = Served(self, {"watts": 1234})
        done = ran("driver.py", served.address, self.folder())
        self.assertEqual((done.returncode, done.stdout), (0, "kitchen 1234 W\n"), done.stderr)

    def test_what_miners_do_is_exported(self) -> None:
        self.simulator("127.108.3.1", 2)
        folder = self.folder()
        conf = {
            "racks": [{"type": "miner-wm-m50s", "name": "hall", "driver": "whatsminer", "intervalMs": 1_000}],
            "people": {"ann@site": ["miner:rw"]},
        }
        with Site.open(folder, conf, how="create") as site:
            report = site.find("127.108.3.1-127.108.3.2", "ann@site", ports={"simulated": True})
            self.assertEqual(len(report["registered"]), 2)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        program = begun("exporter.py", folder, str(port))
        try:
            until, page = time.monotonic() + WITHIN, ""
            while page.count("headframe_miner_power_watts{") < 2 and time.monotonic() < until:
                time.sleep(0.2)
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                        page = answer.read().decode()
                except OSError:
                    continue
            self.assertEqual(page.count("headframe_miner_power_watts{"), 2, page)
        finally:
            self.ends(program)


WEEK = """
import json
night, outage = (next(event for event in made["events"] if event["kind"] == kind) for kind in ("sleep", "outage"))
def said(event):
    told = readings[readings["thing"].isin(event["things"])].set_index("ts")["stats.power_w"].sort_index()
    return told[time(event["start"] + 1_200_000) : time(event["end"] - 1_200_000)]
gap = power[time(outage["start"] + 1_200_000) : time(outage["end"] - 1_200_000)]
print(json.dumps({
    "polls": made["polls"],
    "readings": len(readings),
    "zeros": int((readings["stats.power_w"] == 0).sum()),
    "unknown": int(readings["stats.power_w"].isna().sum()),
    "awake": float(readings["stats.power_w"].median()),
    "asleep": float(said(night).max()),
    "in_outage": [len(said(outage)), int(said(outage).notna().sum())],
    "gap": [[None if pd.isna(row.value) else row.value, row.coverage] for row in gap.itertuples()],
    "days": len(energy),
    "kwh": float(energy["value"].sum() / 1e3),
}))
"""
"""What the cells of the notebook computed."""


class Notebook(unittest.TestCase):
    """The notebook, run as a person runs it: every cell, from the first to the last."""

    def test_a_week_of_a_site_is_read_and_plotted(self) -> None:
        notebook = nbformat.read(EXAMPLES / "week.ipynb", as_version=4)
        nbformat.validate(notebook)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        self.assertTrue(all(not cell.outputs and cell.execution_count is None for cell in cells), "it is kept without outputs")
        # In a debug build the week of ten miners takes more than a minute.
        parameters = next(cell for cell in cells if cell.id == "parameters")
        self.assertIn("DAYS, MINERS, EVERY_MS, SEED = 7, 10, 300_000, 7", parameters.source)
        parameters.source = "DAYS, MINERS, EVERY_MS, SEED = 7, 6, 900_000, 7"
        # The last one closes the site.
        notebook.cells.insert(-1, nbformat.v4.new_code_cell(WEEK))
        with tempfile.TemporaryDirectory() as home:
            # A kernel keeps files in the home folder else.
            places = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR")
            with unittest.mock.patch.dict(os.environ, {place: home for place in places}):
                client = nbclient.NotebookClient(notebook, timeout=WITHIN * 4, resources={"metadata": {"path": home}})
                client.execute()
        told = json.loads(notebook.cells[-2].outputs[0].text)
        self.assertAlmostEqual(told["polls"], 7 * 96 * 6, delta=60)
        self.assertAlmostEqual(told["readings"], told["polls"], delta=10)
        self.assertEqual(told["zeros"], 0)
        # A switch failed for an hour at least, and a miner hung for three.
        self.assertGreater(told["unknown"], 3 * 6 + 3 * 4 - 1)
        self.assertGreater(told["awake"], 3_000)
        self.assertLess(told["asleep"], 100)
        rows, known = told["in_outage"]
        self.assertEqual((rows > 0, known), (True, 0))
        self.assertGreater(len(told["gap"]), 0)
        self.assertEqual({tuple(row) for row in told["gap"]}, {(None, 0.0)})
        self.assertIn(told["days"], (7, 8))
        self.assertAlmostEqual(told["kwh"], 6 * 3.2 * 24 * 7, delta=350)
        figures = [output.data["image/png"] for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})]
        self.assertEqual(len(figures), 1)
        self.assertGreater(len(figures[0]), 50_000)
