"""Watches real miners: python watch.py 10.0.0.0/24 FOLDER [PASSWORD]. The site in the folder keeps their history."""

import asyncio
import sys

from headframe import Site

WHO = "watch@example"


async def main(address_range: str, folder: str, password: str = "admin", *, simulated: bool = False) -> None:
    conf = {
        "racks": [{"type": "miner-wm-m50s", "name": "hall", "driver": "whatsminer", "intervalMs": 10_000}],
        "people": {WHO: ["miner:rw"]},
    }
    async with await Site.open(folder, conf, how="openOrCreate") as site:
        logins = [{"driver": "whatsminer", "opts": {"password": password}}]
        ports = {"simulated": simulated}
        report = await site.find(address_range, WHO, ports=ports, logins=logins)
        print(f"{len(report['registered'])} new, {len(report['known'])} known, {len(report['refused'])} refused")
        async for batch in site.subscribe():
            for reading in batch:
                watts = reading.snapshot.get("stats.power_w")
                print(f"{reading.thing}: {reading.link}, {'no power known' if watts is None else f'{watts} W'}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*[given for given in sys.argv[1:] if given != "--simulated"], simulated="--simulated" in sys.argv))
