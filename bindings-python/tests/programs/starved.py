"""Makes its first calls with no files left, and tells what became of them and of a later one: ``starved FOLDER``."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Callable
from typing import Any

import headframe
from headframe import sync

from tests.support import ANN


def outcome(call: Callable[[], Any]) -> str:
    """What becomes of a call."""
    try:
        call()
    except headframe.HeadframeError as e:
        return f"{type(e).__name__} {e.code}"
    return "an answer"


def main(path: str) -> None:
    loop = asyncio.new_event_loop()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    told = [
        outcome(lambda: sync.Site.open(path, {}, how="create")),
        outcome(lambda: loop.run_until_complete(headframe.Site.open(path, {}, how="create"))),
        outcome(lambda: list(sync.discover("127.109.254.1"))),
    ]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    loop.close()
    with sync.Site.open(path, {}, how="create") as site:
        print(json.dumps({"starved": told, "later": site.call(ANN, "ping", {"n": 7})}))


if __name__ == "__main__":
    main(*sys.argv[1:])
