"""What callers give, as the native part takes it. Whatever a value of theirs raises when it is looked at, the field is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ._errors import Invalid, invalid

T = TypeVar("T")


def because(field: str, e: Exception) -> Invalid:
    """An argument is wrong: it raised this."""
    try:
        why = str(e)
    except Exception:
        why = ""
    return invalid(field, why or type(e).__name__)


def written(field: str, value: object) -> str:
    """JSON. A number that JSON has not is refused: as null it would be taken for one that was not given."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except Exception as e:
        raise because(field, e) from e


def mapping(field: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping as a dict."""
    try:
        if isinstance(value, Mapping):
            return dict(value)
    except Exception as e:
        raise because(field, e) from e
    raise invalid(field, f"takes a mapping, not {type(value).__name__}")


def members(field: str, value: Mapping[str, Any] | None) -> str:
    """JSON of a mapping, or of none."""
    return "{}" if value is None else written(field, mapping(field, value))


def items(field: str, value: Iterable[T]) -> list[T]:
    """A list of whatever there is."""
    try:
        if isinstance(value, Iterable):
            return list(value)
    except Exception as e:
        raise because(field, e) from e
    raise invalid(field, f"takes a list, not {type(value).__name__}")


def rows(field: str, value: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mappings as dicts."""
    return [mapping(field, row) for row in items(field, value)]


def text(field: str, value: object) -> str:
    """A text. Of a subclass what it holds, whatever it says."""
    try:
        if isinstance(value, str):
            told = str.__str__(value)
            told.encode()
            return told
    except Exception as e:
        raise because(field, e) from e
    raise invalid(field, f"takes a text, not {type(value).__name__}")


def optional_text(field: str, value: object) -> str | None:
    """A text or none."""
    return None if value is None else text(field, value)


def folder(field: str, value: str | os.PathLike[str]) -> str:
    """A path of a folder."""
    try:
        path = os.fspath(value)
    except Exception as e:
        raise because(field, e) from e
    told = text(field, path)
    if "\0" in told:
        # No system has such a path; it would be told as a disk that fails.
        raise invalid(field, "has a NUL in it")
    return told


def whole(field: str, value: object, most: int = 0xFFFFFFFF) -> int:
    """A whole number of some size. Of a subclass what it holds, whatever it says."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            number = int.__index__(value)
            if 0 <= number <= most:
                return number
    except Exception as e:
        raise because(field, e) from e
    raise invalid(field, f"takes a whole number from 0 to {most}")


def ident(value: int | str) -> str:
    """The id of an action."""
    # Not by what it says of itself.
    return text("id", value) if issubclass(type(value), str) else str(whole("id", value, 0xFFFFFFFFFFFFFFFF))
