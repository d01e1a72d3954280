"""Makes a long past until it is interrupted, as by Ctrl-C, and tells what is left of it: ``given_up FOLDER``."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import time

from headframe.sync import simulate_history

from tests.programs.interrupted import AFTER, interrupt


def main(path: str) -> None:
    interrupt()
    began = time.monotonic()
    try:
        simulate_history(path, days=300, interval_ms=300_000)
        told = "ended"
    except BaseException as e:
        told = type(e).__name__
    late = time.monotonic() - began - AFTER
    print(json.dumps({"told": told, "late": late, "left": pathlib.Path(path).exists() and os.listdir(path)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
