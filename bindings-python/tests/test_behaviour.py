"""The behaviour suite, ``behaviour/`` at the root of the sources, over both faces of the package."""

from __future__ import annotations

import json
import os
import re
import tempfile
import unittest
from pathlib import Path
from typing import Any

from tests.behaviour.case import check
from tests.behaviour.face import Asyncio, Face, Sync
from tests.behaviour.pattern import Fault
from tests.behaviour.world import VERBS, World

FOLDER = Path(os.environ.get("HEADFRAME_BEHAVIOUR") or Path(__file__).resolve().parents[2] / "behaviour")
"""The cases that all languages run: where the variable says, or beside the sources."""
ONLY = os.environ.get("HEADFRAME_CASE", "")
LACKS: tuple[str, ...] = ()
"""What a case may need and this runner has not."""


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


VOCABULARY = read("vocabulary.json")
COMMON = read("common.json")
CASES = [(path.name, told) for path in sorted((FOLDER / "cases").glob("*.json")) for told in read(f"cases/{path.name}")]


async def run(face: Face, told: Any, number: int) -> str | None:
    """Runs a case; raises what is wrong, and gives what it needs and is not there."""
    check(told, VOCABULARY)
    lacks = next((need for need in told.get("needs", ()) if need in LACKS), None)
    if lacks is not None:
        return str(lacks)
    with tempfile.TemporaryDirectory(prefix="headframe-behaviour-") as folder:
        world = World(face, folder, f"{face.block}.{number}", COMMON)
        try:
            await world.play(told)
        finally:
            await world.end()
    return None


class Cases(unittest.TestCase):
    face: Face

    def holds(self, told: Any, number: int) -> None:
        lacks = self.face.run(run(self.face, told, number))
        if lacks is not None:
            self.skipTest(f"needs {lacks}")

    def is_reported(self, wrong: Any, number: int) -> None:
        told = {name: member for name, member in wrong.items() if name != "reported"}
        with self.assertRaises(Fault) as caught:
            self.face.run(run(self.face, told, number))
        self.assertIn(wrong["reported"], str(caught.exception))


def tests_of(face: Face) -> type[Cases]:
    """A class with one test for each case."""
    tests: dict[str, Any] = {"face": face}

    def add(number: int, name: str, test: Any) -> None:
        test.__doc__ = name
        tests[f"test_{number:03}_{re.sub(r'[^0-9a-z]+', '_', name.lower())}"] = test

    for number, (file, told) in enumerate(CASES, 1):
        name = f"{file}: {told['name']}"
        if ONLY in name:
            add(number, name, lambda self, told=told, number=number: self.holds(told, number))
    for number, wrong in enumerate(read("wrong.json"), 200):
        add(number, f"wrong: {wrong['name']}", lambda self, told=wrong, number=number: self.is_reported(told, number))
    return type(type(face).__name__, (Cases,), tests)


class Suite(unittest.TestCase):
    def test_the_vocabulary_has_the_verbs_of_this_runner(self) -> None:
        self.assertEqual(sorted(VOCABULARY["verbs"]), sorted(VERBS))

    def test_there_are_cases_and_they_have_blocks_of_their_own(self) -> None:
        self.assertTrue(0 < len(CASES) < 200)


AsyncioCases = tests_of(Asyncio())
SyncCases = tests_of(Sync())

if __name__ == "__main__":
    unittest.main()
