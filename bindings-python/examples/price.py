"""Sets the miners' watts from a price, through an action that people approve: python price.py URL FOLDER

The URL gives ``{"price_per_mwh": 71.5, "ts": 1764547200000}``. Above a price miners get the low limit, below it the high one. What
it pushes waits for the votes that the site's policy asks for.
"""

import asyncio
import json
import sys
import time
from typing import Any
from urllib.request import urlopen

from headframe import Site

HIGH_PRICE = 80.0
LOW_WATTS, HIGH_WATTS = 2_500, 3_300
FRESH_MS = 600_000
BY = "price@site"


def price(url: str) -> float | None:
    """The price, or None where it is not known now."""
    with urlopen(url, timeout=10) as answer:
        told = json.loads(answer.read(4_096))
    fresh = time.time() * 1e3 - told["ts"] < FRESH_MS
    return float(told["price_per_mwh"]) if fresh else None


async def follow(site: Site, url: str) -> dict[str, Any] | None:
    """Pushes an action when the price asks for another limit; gives what was pushed."""
    now = await asyncio.to_thread(price, url)
    if now is None:
        return None
    watts = LOW_WATTS if now > HIGH_PRICE else HIGH_WATTS
    draft: dict[str, Any] = {
        "action": "setPowerLimit",
        "params": [watts],
        "query": {},
        "why": f"{now} per MWh",
        "clientKey": f"price-{watts}-{int(time.time() // 300)}",
    }
    preview = await site.actions.preview(draft, BY)
    miners = sum(len(ids) for ids in preview["targets"].values())
    print(f"{now} per MWh: {watts} W for {miners} miners")
    return await site.actions.push(draft, BY)


async def main(url: str, folder: str) -> None:
    conf = {"racks": [{"type": "miner-wm-m50s", "name": "hall", "driver": "whatsminer"}]}
    async with await Site.open(folder, conf) as site:
        while True:
            print(await follow(site, url), flush=True)
            await asyncio.sleep(300)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
