"""What makers and models are called, and what they hash."""

from __future__ import annotations

import re

from ._hashrate import HashUnit

FAMILIES = {"antminer": "AntMiner", "whatsminer": "WhatsMiner"}
"""pyasic's name of the make, by driver."""

_REVISION = re.compile(r"(M\d+[A-Z]*\+*)_?(V[A-Z]?\d*[0-9A-Z])")
_ALGOS = (
    (re.compile(r"[ST]\d"), "SHA256"),
    (re.compile(r"L\d"), "Scrypt"),
    (re.compile(r"KS\d"), "KHeavyHash"),
    (re.compile(r"KA\d"), "Kadena"),
    (re.compile(r"K7"), "Eaglesong"),
    (re.compile(r"HS\d"), "Handshake"),
    (re.compile(r"DR\d"), "Blake256"),
    (re.compile(r"D\d"), "X11"),
    (re.compile(r"E\d"), "EtHash"),
    (re.compile(r"Z\d"), "Equihash"),
)
_UNITS = {"Scrypt": HashUnit.GH, "EtHash": HashUnit.MH, "Equihash": HashUnit.KH}


def model(driver: str, vendor: str | None) -> str | None:
    """The model as pyasic writes it, out of what the device calls itself: ``M50S VH50``, ``S19 Pro Hydro``."""
    name = (vendor or "").strip()
    if driver == "antminer":
        name = re.sub(r"(?i)^antminer\s*", "", name.split(" (")[0])
        name = re.sub(r"(?i)\bhyd(\.|ro|\b)$", "Hydro", name.strip())
    elif driver == "whatsminer":
        parts = _REVISION.fullmatch(name.upper())
        if parts is not None:
            # The last sign is a revision that does not change the machine.
            name = f"{parts[1]} {parts[2][:-1]}0"
    return name or None


def algo(driver: str, name: str | None) -> str | None:
    """What a model hashes; None where that is not known."""
    if driver == "whatsminer":
        return "SHA256" if (name or "").startswith("M") else None
    if driver != "antminer" or name is None:
        return None
    return next((algo for start, algo in _ALGOS if start.match(name)), None)


def unit(algo: str | None) -> HashUnit:
    """The unit that hashrates of an algorithm are told in."""
    return _UNITS.get(algo or "", HashUnit.TH)
