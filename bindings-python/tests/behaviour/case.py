"""Cases as they are written: whether they are well formed, and what their texts stand for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .pattern import Fault, known, shown

CASE = ("name", "needs", "devices", "site", "steps")
STEP = ("do", "with", "as", "expect", "error")


def check(told: Any, vocabulary: Mapping[str, Any]) -> None:
    """Refuses a case that a runner could not take at its word."""
    only(told, CASE)
    for need in told.get("needs", ()):
        if need not in vocabulary["needs"]:
            raise Fault(f"nobody knows what it needs: {need}")
    if not isinstance(told.get("name"), str):
        raise Fault("it has no name")
    steps = told.get("steps")
    if not isinstance(steps, list) or not steps:
        raise Fault("it has no steps")
    for at, step in enumerate(steps):
        only(step, STEP)
        with within(at, step):
            _check_step(step, vocabulary["verbs"])


def _check_step(step: dict[str, Any], verbs: Mapping[str, Any]) -> None:
    if step.get("do") not in verbs:
        raise Fault("there is no such verb")
    takes, given = verbs[step["do"]]["takes"], step.get("with", {})
    for name in given:
        if name not in takes and f"{name}?" not in takes:
            raise Fault(f"the verb does not take {name}")
    for name in takes:
        if not name.endswith("?") and name not in given:
            raise Fault(f"the verb needs {name}")
    if "error" in step and ("expect" in step or "as" in step):
        raise Fault("an error is neither an answer nor saved")
    known(step.get("expect"))
    known(step.get("error"))


def only(told: object, names: Collection[str]) -> None:
    """Refuses members that nobody knows."""
    if not isinstance(told, dict):
        raise Fault(f"{shown(told)} is no object")
    for name in told:
        if name not in names:
            raise Fault(f"unknown member {name}")


@contextmanager
def within(at: int, step: Mapping[str, Any]) -> Iterator[None]:
    """Says of a fault in which step it is."""
    try:
        yield
    except Exception as e:
        why = str(e) if isinstance(e, Fault) else repr(e)
        raise Fault(f"step {at + 1} ({step.get('do')}): {why}") from e


def resolve(told: Any, saved: Mapping[str, Any], words: Mapping[str, str]) -> Any:
    """A value of a case with everything in place that its texts stand for: ``$name.path`` what was saved, ``{word}`` one of
    ``words``."""
    if isinstance(told, str):
        return _resolved(told, saved, words)
    if isinstance(told, list):
        return [resolve(item, saved, words) for item in told]
    if isinstance(told, dict):
        return {name: resolve(value, saved, words) for name, value in told.items()}
    return told


def _resolved(text: str, saved: Mapping[str, Any], words: Mapping[str, str]) -> Any:
    if text.startswith("$$"):
        return text[1:]
    if text.startswith("$"):
        return _looked_up(text[1:], saved)
    for word, stands_for in words.items():
        text = text.replace("{%s}" % word, stands_for)
    return text


def _looked_up(path: str, saved: Any) -> Any:
    found = saved
    for part in path.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            raise Fault(f"there is no ${path}")
    return found
