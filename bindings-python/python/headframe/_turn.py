"""A turn for everything else that waits."""

from __future__ import annotations

import asyncio


async def turn() -> None:
    """Lets the event loop do what else there is."""
    await asyncio.sleep(0)
