"""What callers give, as the native part takes it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from ._errors import invalid


def written(field: str, value: object) -> str:
    """JSON. A number that JSON has not is refused: as null it would be taken for one that was not given."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as e:
        raise invalid(field, str(e)) from e


def members(field: str, value: Mapping[str, Any] | None) -> str:
    """JSON of a mapping, or of none."""
    if value is None:
        return "{}"
    if not isinstance(value, Mapping):
        raise invalid(field, f"takes a mapping, not {type(value).__name__}")
    return written(field, dict(value))


def rows(field: str, value: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mappings as dicts."""
    if not isinstance(value, Iterable):
        raise invalid(field, f"takes mappings, not {type(value).__name__}")
    given = list(value)
    for row in given:
        if not isinstance(row, Mapping):
            raise invalid(field, f"takes mappings, not {type(row).__name__}")
    return [dict(row) for row in given]


def text(field: str, value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise invalid(field, f"takes a text, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as e:
        raise invalid(field, str(e)) from e
    return value


def optional_text(field: str, value: object) -> str | None:
    """A text or none."""
    return None if value is None else text(field, value)


def folder(field: str, value: str | os.PathLike[str]) -> str:
    """A path of a folder."""
    try:
        return text(field, os.fspath(value))
    except TypeError as e:
        raise invalid(field, str(e)) from e


def whole(field: str, value: object, most: int = 0xFFFFFFFF) -> int:
    """A whole number of some size."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise invalid(field, f"takes a whole number from 0 to {most}")
    return value


def ident(value: int | str) -> str:
    """The id of an action."""
    return text("id", value) if isinstance(value, str) else str(whole("id", value, 0xFFFFFFFFFFFFFFFF))
