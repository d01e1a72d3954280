"""Parts of the check ``x-bindings``: whatever is called, from wherever, a call answers, or raises a typed error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

from tests.support import folder

ROOT = Path(__file__).resolve().parents[1]
WITHIN = 200


class Parts(unittest.TestCase):
    def part(self, name: str, seed: int, count: int) -> tuple[int, set[str]]:
        """How many calls a part makes, in a process and a folder of its own, and which rare paths it reaches."""
        command = [sys.executable, "-X", "faulthandler", "-m", "trust.main", name, str(seed), str(count)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))}
        done = subprocess.run(command, cwd=folder(self), env=env, capture_output=True, text=True, timeout=WITHIN, check=False)
        said: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line["violation"] for line in said if "violation" in line], [], done.stderr)
        self.assertEqual((done.returncode, said[-1]), (0, {"ended": True}), done.stderr)
        self.assertNotIn("panicked at", done.stderr)
        return sum(line.get("calls", 0) for line in said), {line["probe"] for line in said if "probe" in line}

    def test_whatever_is_given_the_answer_is_one_or_a_typed_error(self) -> None:
        calls, reached = self.part("calls", 1, 300)
        self.assertGreater(calls, 300)
        for probe in ("a closed handle was used", "closed in the middle of calls", "called by the collector", "told Invalid", "told Closed"):
            self.assertIn(probe, reached)

    def test_the_same_from_threads_and_event_loops_of_which_some_are_torn(self) -> None:
        _, reached = self.part("threads", 2, 120)
        self.assertIn("called from several event loops", reached)

    @unittest.skipUnless(hasattr(os, "fork"), "this system has neither forks nor timers")
    def test_the_same_while_signals_interrupt(self) -> None:
        _, reached = self.part("interrupts", 3, 50)
        self.assertIn("interrupted in the middle of calls", reached)


if __name__ == "__main__":
    unittest.main()
