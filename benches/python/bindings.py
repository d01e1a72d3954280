"""What the Python package costs: ``cargo run --release -p headframe-benches --bin bindings -- --lang python``.

Simulated devices live in a process of their own.
"""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import headframe
import headframe.sync
import pyarrow

WHO = {"user": "bench", "permissions": ["*:rw"]}
MINERS = 2_000
LISTED = 10_000
CALLS = 20_000
BASE = "127.62.0.1"
RACKS = [
    {"type": "miner-wm-m50s", "name": "polled", "driver": "whatsminer", "intervalMs": 1_000},
    {"type": "inventory-spare", "name": "listed"},
]


def simulate() -> None:
    with headframe.sync.Simulator.start(seed=1, base=BASE, whatsminers=MINERS):
        print("ready", flush=True)
        sys.stdin.read()


def us(begin: int, calls: int = 1) -> float:
    return (time.perf_counter_ns() - begin) / 1e3 / calls


async def alone(site: headframe.Site) -> float:
    """One call after the other, µs."""
    times = []
    for n in range(CALLS):
        begin = time.perf_counter_ns()
        await site.call(WHO, "ping", n)
        times.append(us(begin))
    return round(statistics.median(times), 2)


async def together(site: headframe.Site) -> float:
    """64 at any time, µs for each."""

    async def worker() -> None:
        for n in range(CALLS * 5 // 64):
            await site.call(WHO, "ping", n)

    begin = time.perf_counter_ns()
    await asyncio.gather(*(worker() for _ in range(64)))
    return round(us(begin, CALLS * 5 // 64 * 64), 2)


def waited(folder: str) -> float:
    """One call after the other of the synchronous face, µs."""
    with headframe.sync.Site.open(folder, {"racks": RACKS, "history": False}) as site:
        times = []
        for n in range(CALLS):
            begin = time.perf_counter_ns()
            site.call(WHO, "ping", n)
            times.append(us(begin))
    return round(statistics.median(times), 2)


async def listed(site: headframe.Site) -> float:
    """All things at once, ms."""
    times = []
    for _ in range(15):
        begin = time.perf_counter_ns()
        page = await site.list({"query": {"type": "inventory-spare"}, "limit": LISTED})
        times.append(us(begin) / 1e3)
        assert len(page["items"]) == LISTED
    return round(statistics.median(times), 2)


async def drained(
    site: headframe.Site, simulator: subprocess.Popen[str], look: Callable[[headframe.Reading], Any]
) -> int:
    """Readings that waited, a second. The devices stand still meanwhile: 2,000 polls a second would take both cores."""
    rates = []
    for _ in range(3):
        async with site.subscribe() as reader:
            await asyncio.sleep(10)
            simulator.send_signal(signal.SIGSTOP)
            # Polls under way end.
            await asyncio.sleep(0.2)
            seen, total, begin = 0, 0, time.perf_counter_ns()
            async for batch in reader:
                for reading in batch:
                    total += look(reading)
                seen += len(batch)
                # The last batch of those that waited.
                if len(batch) < 256:
                    break
        assert total > 0 and seen >= MINERS, (seen, total)
        rates.append(seen / us(begin) * 1e6)
        simulator.send_signal(signal.SIGCONT)
        # Things that missed a poll are asked less often, until they answer again.
        await asyncio.sleep(12)
    return round(statistics.median(rates))


async def framed(folder: str, rows: int) -> float:
    """A million samples of a site that was filled before, into pandas, ms."""
    async with await headframe.Site.open(folder, {"racks": [{"type": "inventory-spare", "name": "listed"}]}) as site:
        things = [thing["id"] for thing in (await site.list({"limit": LISTED}))["items"]]
        times = []
        for _ in range(7):
            begin = time.perf_counter_ns()
            table = await site.readings(things, start=0, end=1 << 42, members=["stats.power_w"])
            frame = pyarrow.table(table).to_pandas()
            times.append(us(begin) / 1e3)
            assert len(frame) == rows, len(frame)
    return round(statistics.median(times), 2)


async def measured(history: str, rows: int, simulator: subprocess.Popen[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        async with await headframe.Site.open(folder, {"racks": RACKS, "history": False}, how="create") as site:
            spares = [
                {"id": f"spare-{n}", "info": {"container": f"c-{n % 40}", "pos": str(n), "serialNum": f"s{n}"}}
                for n in range(LISTED)
            ]
            await site.register("inventory-spare-listed", spares, "bench")
            told: dict[str, Any] = {
                "lang": "python",
                "call_us_p50": await alone(site),
                "call_us_64_in_flight": await together(site),
                "list_ms": await listed(site),
            }
            report = await site.find("127.62.0.1-127.62.7.255", "bench", ports={"simulated": True})
            assert len(report["registered"]) == MINERS, report["scan"]
            told["snapshots_per_s"] = await drained(site, simulator, lambda reading: len(reading.thing) + reading.ts)
            told["plain_per_s"] = await drained(
                site, simulator, lambda reading: reading.snapshot.as_dict()["stats"].get("power_w", 0)
            )
        told["call_us_sync_p50"] = await asyncio.to_thread(waited, folder)
    told["df_ms"] = await framed(history, rows)
    told["rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 1)
    return told


def main() -> None:
    if sys.argv[1:] == ["simulator"]:
        simulate()
        return
    _, history, rows = sys.argv
    command = [sys.executable, __file__, "simulator"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None and simulator.stdout.readline() == "ready\n"
        print(json.dumps(asyncio.run(measured(history, int(rows), simulator))))
        assert simulator.stdin is not None
        simulator.stdin.close()


if __name__ == "__main__":
    main()
