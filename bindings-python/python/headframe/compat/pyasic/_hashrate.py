"""Hashrates, which are numbers with a unit."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from headframe._errors import invalid


class HashUnit(enum.IntEnum):
    """Hashes per second in one of the unit."""

    H = 1
    KH = 10**3
    MH = 10**6
    GH = 10**9
    TH = 10**12
    PH = 10**15
    EH = 10**18
    ZH = 10**21

    @property
    def suffix(self) -> str:
        """Such as ``TH/s``."""
        return f"{self.name}/s"

    def __str__(self) -> str:
        return self.suffix

    def as_dict(self) -> dict[str, Any]:
        """As pyasic writes it."""
        return {"value": self.value, "suffix": self.suffix}


# A rate is as equal to a number as to another rate, so it has no hash.
@dataclass(eq=False)
class HashRate:
    """A hashrate. Numbers are taken for rates of the same unit."""

    rate: float
    unit: HashUnit = HashUnit.TH

    def as_dict(self) -> dict[str, Any]:
        """As pyasic writes it."""
        return {"unit": self.unit.as_dict(), "rate": self.rate}

    def into(self, unit: HashUnit) -> HashRate:
        """The same in another unit."""
        return HashRate(self._in(unit), unit)

    def auto_unit(self) -> HashRate:
        """The same in the unit in which it is easiest to read."""
        whole = abs(self._in(HashUnit.H))
        return self.into(max((unit for unit in HashUnit if unit <= whole), default=HashUnit.H))

    def _in(self, unit: HashUnit) -> float:
        # One of the two quotients is a whole number, and so exact.
        if self.unit >= unit:
            return self.rate * (self.unit // unit)
        return self.rate / (unit // self.unit)

    def _number(self, other: object) -> float | None:
        if isinstance(other, HashRate):
            return other._in(self.unit)
        if isinstance(other, (int, float)):
            return float(other)
        return None

    def __float__(self) -> float:
        return float(self.rate)

    def __int__(self) -> int:
        return int(self.rate)

    def __round__(self, digits: int = 0) -> HashRate:
        return HashRate(round(float(self.rate), digits), self.unit)

    def __abs__(self) -> HashRate:
        return HashRate(abs(self.rate), self.unit)

    def __str__(self) -> str:
        return f"{self.rate} {self.unit.suffix}"

    def __format__(self, spec: str) -> str:
        return format(self.rate, spec) if spec else str(self)

    def __eq__(self, other: object) -> bool:
        number = self._number(other)
        return NotImplemented if number is None else self.rate == number

    def __lt__(self, other: HashRate | float) -> bool:
        number = self._number(other)
        return NotImplemented if number is None else self.rate < number

    def __le__(self, other: HashRate | float) -> bool:
        number = self._number(other)
        return NotImplemented if number is None else self.rate <= number

    def __gt__(self, other: HashRate | float) -> bool:
        number = self._number(other)
        return NotImplemented if number is None else self.rate > number

    def __ge__(self, other: HashRate | float) -> bool:
        number = self._number(other)
        return NotImplemented if number is None else self.rate >= number

    def __add__(self, other: HashRate | float) -> HashRate:
        number = self._number(other)
        return NotImplemented if number is None else HashRate(self.rate + number, self.unit)

    __radd__ = __add__

    def __sub__(self, other: HashRate | float) -> HashRate:
        number = self._number(other)
        return NotImplemented if number is None else HashRate(self.rate - number, self.unit)

    def __mul__(self, other: float) -> HashRate:
        if isinstance(other, HashRate):
            return NotImplemented
        number = self._number(other)
        return NotImplemented if number is None else HashRate(self.rate * number, self.unit)

    __rmul__ = __mul__

    def __truediv__(self, other: HashRate | float) -> HashRate | float:
        number = self._number(other)
        if number is None:
            return NotImplemented
        share = self.rate / number
        return share if isinstance(other, HashRate) else HashRate(share, self.unit)


def total(rates: list[HashRate]) -> HashRate | None:
    """The sum, in the unit of the first; None of nothing."""
    if not rates:
        return None
    unit = rates[0].unit
    return HashRate(sum(rate.into(unit).rate for rate in rates), unit)


def checked(field: str, value: object) -> HashRate | None:
    """A rate as a caller gives it."""
    if value is None or isinstance(value, HashRate):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return HashRate(float(value))
    raise invalid(field, f"takes a hashrate, not {type(value).__name__}")
