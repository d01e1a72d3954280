"""One part of the check ``x-bindings``, in a process of its own:

    python -X faulthandler -m trust.main PART SEED COUNT

It says one line of JSON for each thing that matters, ``{"ended": true}`` at the end, and works in the current folder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

# Before the package.
from trust import late as late

from trust import ends, forks, interrupts, rounds, threads
from trust.account import say, watched
from trust.world import random

PARTS: dict[str, Callable[[int, int], None]] = {
    "calls": threads.calls,
    "threads": threads.threads,
    "exit": ends.left,
    "drain": ends.drained,
    "forks": forks.forked,
    "interrupts": interrupts.interrupted,
    "rounds": lambda seed, count: rounds.rounds(random(seed), count),
}


def main(part: str, seed: str, count: str) -> None:
    """Does a part. A way to end says nothing of its end: its status says that."""
    watched()
    if part.startswith("left-"):
        ends.ENDS[part.removeprefix("left-")](int(seed))
        return
    PARTS[part](int(seed), int(count))
    say(ended=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
