"""Finds simulated miners and reads them: python quickstart.py"""

import asyncio

from headframe import Simulator, discover, open_device


async def main() -> None:
    async with await Simulator.start(whatsminers=2, antminers=1) as simulator:
        ports = simulator.devices()[0]["ports"]
        async for found in discover("127.20.0.1-127.20.0.3", ports={"simulated": True}):
            if found["event"] != "device":
                continue
            print(f"{found['address']}: {found['make']} {found['model']}")
            if found["driver"] == "whatsminer":
                opts = {"address": found["address"], "port": ports["rpc"], "password": "admin"}
                async with await open_device("whatsminer", opts) as device:
                    snapshot = await device.snapshot()
                    print(f"  {snapshot['stats.power_w']} W, {snapshot['stats.status']}")


if __name__ == "__main__":
    asyncio.run(main())
