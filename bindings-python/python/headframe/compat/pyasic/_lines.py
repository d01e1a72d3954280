"""What a miner says in one line of text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from headframe._asked import text

from ._hashrate import HashRate
from ._parts import HashBoard, PoolUrl

if TYPE_CHECKING:
    from ._data import MinerData

TAGS = ("ip", "mac", "model", "hostname")
_BOARD = ("hashrate", "inlet_temp", "outlet_temp", "temp", "chip_temp", "chips", "expected_chips", "active", "voltage")
_NOT_FIELDS = frozenset((*TAGS, "timestamp"))


def json_line(data: dict[str, Any]) -> str:
    """JSON."""
    return json.dumps(data)


def csv_line(data: dict[str, Any]) -> str:
    """A line of CSV. As pyasic has it, what is not known reads ``None``, and lists are written as Python shows them."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([str(value) for value in data.values()])
    return line.getvalue()


def influx_line(data: MinerData, measurement: str, delimiter: str) -> str:
    """Line protocol. Numbers carry no ``i``, as pyasic's: Influx refuses to change the type of a field that is there."""
    head = [_escaped(text("measurement_name", measurement), ", ")]
    head += [f"{tag}={_escaped(str(data[tag]), ', =')}" for tag in TAGS if data[tag]]
    told = _fields(data, text("level_delimiter", delimiter))
    body = ",".join(f"{_escaped(name, ', =')}={value}" for name, value in told)
    return f"{','.join(head)} {body} {data.timestamp * 1_000_000_000}" if body else ""


def _fields(data: MinerData, delimiter: str) -> Iterator[tuple[str, str]]:
    for name in data:
        if name not in _NOT_FIELDS:
            yield from _flat(name, data[name], delimiter)


def _flat(name: str, value: Any, delimiter: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for index, one in enumerate(cast(list[object], value)):
            yield from _flat(f"{name}{delimiter}{index}", one, delimiter)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif isinstance(value, HashRate):
        yield name, str(round(value.rate, 2))
    elif isinstance(value, (int, float)):
        yield name, str(value)
    elif hasattr(value, "as_dict") and not isinstance(value, PoolUrl):
        told: dict[str, object] = vars(cast(object, value))
        for key, one in told.items():
            if not isinstance(value, HashBoard) or key in _BOARD:
                yield from _flat(f"{name}{delimiter}{key}", one, delimiter)


def _escaped(written: str, special: str) -> str:
    # A backslash in front of a delimiter would take its meaning away, and a line break ends the point.
    plain = "".join(sign if sign.isprintable() and sign != "\\" else "_" for sign in written)
    for sign in special:
        plain = plain.replace(sign, f"\\{sign}")
    return plain
