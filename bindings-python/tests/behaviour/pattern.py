"""Patterns: what an answer has to be like."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

KINDS = ("boolean", "list", "null", "number", "object", "text")
INNER = ("$len", "$contains", "$each", "$not")


class Fault(Exception):
    """A case does not hold, or is itself at fault."""


class _Absent:
    """A member that is not there, which is another thing than None."""


ABSENT = _Absent()


def shown(value: object) -> str:
    """A value as a report has it."""
    return "not there" if value is ABSENT else json.dumps(value, ensure_ascii=False)


def known(pattern: object) -> None:
    """Refuses a pattern of which something is not known."""
    if isinstance(pattern, list):
        for inner in pattern:
            known(inner)
    if not isinstance(pattern, dict):
        return
    if _is_matcher(pattern):
        for name, told in pattern.items():
            _known_matcher(name, told)
        return
    for name, inner in pattern.items():
        if name.startswith("$"):
            raise Fault(f"{name} stands beside members")
        known(inner)


def differences(pattern: object, value: object, at: str = "answer") -> list[str]:
    """Where and how a value is not like the pattern; empty when it is."""
    if isinstance(pattern, dict) and _is_matcher(pattern):
        return [fault for name, told in pattern.items() for fault in _apply(name, told, value, at)]
    if value is ABSENT:
        return [f"{at}: is not there, should be {shown(pattern)}"]
    if isinstance(pattern, dict) and isinstance(value, dict):
        members = ((inner, value.get(name, ABSENT), name) for name, inner in pattern.items())
        return [fault for inner, there, name in members for fault in differences(inner, there, f"{at}.{name}")]
    if isinstance(pattern, list) and isinstance(value, list) and len(pattern) == len(value):
        both = enumerate(zip(pattern, value))
        return [fault for n, (inner, there) in both for fault in differences(inner, there, f"{at}.{n}")]
    return [] if _same(pattern, value) else [f"{at}: is {shown(value)}, should be {shown(pattern)}"]


def _is_matcher(pattern: dict[str, Any]) -> bool:
    return bool(pattern) and all(name.startswith("$") for name in pattern)


def _is_number(value: object) -> bool:
    # To Python a truth value is a number; to JSON it is none.
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(pattern: object, value: object) -> bool:
    if _is_number(pattern) and _is_number(value):
        return pattern == value
    return type(pattern) is type(value) and pattern == value


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if _is_number(value):
        return "number"
    kinds: dict[type, str] = {str: "text", list: "list", dict: "object"}
    return kinds.get(type(value), "nothing that JSON has")


def _is_bound(told: object) -> bool:
    return _is_number(told) or (isinstance(told, str) and told.startswith("$"))


def _is_near(told: object) -> bool:
    return isinstance(told, dict) and sorted(told) == ["by", "to"] and _is_number(told["by"]) and _is_bound(told["to"])


TAKES: dict[str, Callable[[object], bool]] = {
    "$any": lambda told: told in KINDS,
    "$gt": _is_bound,
    "$lt": _is_bound,
    "$near": _is_near,
    "$absent": lambda told: told is True,
    "$nowhere": lambda told: isinstance(told, str),
}


def _known_matcher(name: str, told: object) -> None:
    if name in INNER:
        return known(told)
    if name not in TAKES:
        raise Fault(f"there is no matcher {name}")
    if not TAKES[name](told):
        raise Fault(f"{name} does not take {shown(told)}")


def _apply(name: str, told: Any, value: Any, at: str) -> list[str]:
    faults = [f"{at}: is {shown(value)}, should be {name} {shown(told)}"]
    if value is ABSENT:
        return [] if name == "$absent" else faults
    if name == "$len":
        length = len(value) if isinstance(value, (list, dict)) else ABSENT
        return differences(told, length, f"{at}.$len")
    if name == "$each" and isinstance(value, list) and value:
        return [fault for n, item in enumerate(value) for fault in differences(told, item, f"{at}.{n}")]
    return [] if name in HOLDS and HOLDS[name](told, value) else faults


def _contains(told: Any, value: Any) -> bool:
    if isinstance(value, str):
        return isinstance(told, str) and told in value
    return isinstance(value, list) and any(not differences(told, item) for item in value)


HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "$any": lambda told, value: _kind(value) == told,
    "$gt": lambda told, value: _is_number(value) and value > told,
    "$lt": lambda told, value: _is_number(value) and value < told,
    "$near": lambda told, value: _is_number(value) and abs(value - told["to"]) <= told["by"],
    "$nowhere": lambda told, value: told not in shown(value),
    "$not": lambda told, value: bool(differences(told, value)),
    "$contains": _contains,
}
