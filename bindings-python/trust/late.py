"""What is done after the package has ended everything. To be loaded before the package: what is registered first is done last."""

from __future__ import annotations

import atexit
from collections.abc import Callable

LATE: list[Callable[[], None]] = []


def _late() -> None:
    for work in LATE:
        work()


atexit.register(_late)
