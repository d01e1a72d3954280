"""The package for asyncio. The synchronous one is generated from it."""
