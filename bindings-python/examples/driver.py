"""A driver of one's own: a class that does its own I/O. python driver.py ADDRESS FOLDER"""

import asyncio
import json
import sys
from typing import Any

from headframe import BadReply, Site


class Heater:
    """A heater that mines, and says so over HTTP."""

    id = "heater"

    def __init__(self, address: str) -> None:
        self.host, _, self.port = address.partition(":")

    @staticmethod
    async def open(opts: dict[str, Any]) -> "Heater":
        return Heater(opts["address"])

    async def snapshot(self) -> dict[str, Any]:
        reader, writer = await asyncio.open_connection(self.host, int(self.port or 80))
        writer.write(f"GET /state HTTP/1.0\r\nHost: {self.host}\r\n\r\n".encode())
        answer = b""
        while len(answer) < 65_536 and (more := await reader.read(65_536)):
            answer += more
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise BadReply("the heater refuses")
        return {"success": True, "stats": {"status": "mining", "power_w": json.loads(body)["watts"]}}


async def main(address: str, folder: str) -> None:
    conf = {
        "racks": [{"type": "miner-heater", "name": "house", "driver": "heater", "intervalMs": 1_000}],
        "people": {"ann@house": ["miner:rw"]},
    }
    async with await Site.open(folder, conf, how="openOrCreate", drivers=[Heater]) as site:
        if site.counts()["things"] == 0:
            await site.register("miner-heater-house", [{"id": "kitchen", "opts": {"address": address}}], "ann@house")
        async for batch in site.subscribe():
            print(batch[0].thing, batch[0].snapshot.get("stats.power_w"), "W", flush=True)
            break


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
