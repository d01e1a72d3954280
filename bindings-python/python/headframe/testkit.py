"""The conformance kit: what every driver has to fulfil, for drivers of one's own.

It is the kit of the library's own drivers. Each case takes a :class:`Rig`: the driver beside one device of its family on loopback, a
simulated one that misbehaves when it is told to. :func:`run` raises an AssertionError that says what the driver does wrong::

    class Conformance(unittest.IsolatedAsyncioTestCase):
        async def test_all(self):
            for case in testkit.cases():
                with self.subTest(case):
                    await testkit.run(case, await MyRig.start())

Each case wants a device of its own. Cases are bounded in time, the longest half a minute, and may run side by side.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypedDict

from . import _headframe as native
from ._asked import mapping, rows, text, written
from ._driver import Driver, Served, awaited, registry

__all__ = ["Clock", "Command", "Fault", "Rig", "Truth", "WriteFault", "cases", "left_out", "run", "strangers"]

Fault = Literal["hang", "cut", "drip", "garbage", "half_json", "flood", "refuse"]
"""How a device misbehaves. ``hang``: it takes the connection and never answers. ``cut``: it closes in the middle of each reply.
``drip``: it sends byte by byte, too slowly to end in 10 s. ``garbage``: it answers what is no JSON. ``half_json``: each reply ends in the
middle of its JSON, as if it were whole. ``flood``: it never stops sending. ``refuse``: it refuses connections."""

WriteFault = Literal["mute", "ignored"]
"""How writes go wrong. ``mute``: the device carries them out, and closes the connection without a reply. ``ignored``: it answers with
success, and nothing changes."""

Command = Mapping[str, Any]
"""Such as ``{"name": "setPowerMode", "args": "low"}``."""


class Truth(TypedDict):
    """What a device does in truth: whether it hashes, its hashrate in MH/s, its power in W, its hottest chip in °C, how many boards
    work, and how many shares were accepted so far."""

    mining: bool
    hashrate_mhs: float
    power_w: float
    chip_max_c: float
    boards: int
    accepted: int


class Clock:
    """A clock to be used in place of ``time.monotonic`` by a driver and its simulated device: a rig puts it ahead."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def pass_time(self, seconds: float) -> None:
        """Puts it ahead."""
        self._ahead += seconds


class Rig(Protocol):
    """A driver beside one device of its family, which it has for itself. It is asked on the event loop that :func:`run` is awaited on;
    what returns None may be a coroutine as well. To be inherited from: what has a body here is right for most."""

    @abstractmethod
    def driver(self) -> Driver:
        """The driver."""
        ...

    @abstractmethod
    def address(self) -> str:
        """Where the device is."""
        ...

    @abstractmethod
    def ports(self) -> Mapping[str, int]:
        """Its ports, by what a probe calls them: ``{"web": 8080}``."""
        ...

    @abstractmethod
    def opts(self) -> Mapping[str, Any]:
        """What the driver opens it with; the right password is ``password``."""
        ...

    @abstractmethod
    def wrong_opts(self) -> Mapping[str, Any]:
        """The same with a wrong password."""
        ...

    @abstractmethod
    def secrets(self) -> Sequence[str]:
        """The right password, the wrong one, and whatever else may never be shown."""
        ...

    def reads_need_password(self) -> bool:
        """Whether reading needs the password."""
        return True

    def never_reported(self) -> Sequence[str]:
        """Members of a snapshot that the family cannot report at all, such as ``stats.power_w``."""
        return ()

    def strangers(self) -> Iterable[str | Mapping[str, Any]]:
        """What devices of other families answer to the driver's probes: see the function of this name."""
        return strangers()

    @abstractmethod
    def fault(self, fault: Fault) -> Awaitable[None] | None:
        """Makes the device misbehave, until :meth:`clear`."""
        ...

    @abstractmethod
    def clear(self) -> Awaitable[None] | None:
        """Makes it behave again."""
        ...

    @abstractmethod
    def write_fault(self, fault: WriteFault | None) -> Awaitable[None] | None:
        """Makes writes go wrong; None makes them right again."""
        ...

    @abstractmethod
    def meddle(self) -> Awaitable[None] | None:
        """Changes the device's pools, as another program would."""
        ...

    @abstractmethod
    def pass_time(self, seconds: float) -> Awaitable[None] | None:
        """Lets so much time pass for the driver and for the device, at once: they have a :class:`Clock`, for example."""
        ...

    @abstractmethod
    def requests(self) -> int:
        """How many requests the device received so far, whatever they were."""
        ...

    @abstractmethod
    def open_connections(self) -> int:
        """How many connections it has now."""
        ...

    @abstractmethod
    def executed(self) -> Mapping[str, int]:
        """The writes that it carried out so far, by their names on the wire."""
        ...

    @abstractmethod
    def truth(self) -> Truth:
        """What it does in truth."""
        ...

    def sample(self, action: str) -> Command | None:
        """A command that the device accepts, and that changes it as it is when it starts; None for the kit's own."""
        return None

    def out_of_range(self) -> Sequence[Command]:
        """Commands that the device has, with arguments outside its ranges."""
        return ()


_OTHERS: dict[str, str | Mapping[str, Any]] = {
    "antminer": '{"VERSION":[{"API":"3.1","Miner":"49.0.1.3","Type":"Antminer S19 Pro"}]}',
    "antminer-web": {"realm": "antMiner Configuration"},
    "avalon": '{"VERSION":[{"CGMiner":"4.11.1","PROD":"AvalonMiner 1246"}]}',
    "bitaxe": '{"ASICModel":"BM1370","boardVersion":"601","version":"v2.4.0","power":17.2,"hashRate":1100.5}',
    "braiins": '{"VERSION":[{"BOSer":"boser-buildroot 0.1.0","API":"3.7","Type":"Antminer S19"}]}',
    "elphapex": {"realm": "Daoge Configuration"},
    "hammer": {"realm": "blackMiner Configuration"},
    "luxos": '{"VERSION":[{"API":"3.7","LUXminer":"2024.5.1","Type":"Antminer S19j Pro"}]}',
    "other": '{"id":1,"status":"ok","name":"device","version":"1.0.0","state":{"power":1,"mode":"normal","mac":"02:00:00:00:00:99"}}',
    "page": "<!DOCTYPE html><html><head><title>Login</title></head><body>user name and password, please</body></html>",
    "router": {"realm": "router", "body": "<html><title>401 Unauthorized</title></html>"},
    "sends-away": {"status": 302, "location": "/cgi-bin/luci/"},
    "silent": "",
    "vnish": '{"VERSION":[{"API":"3.1","Miner":"Vnish 1.2.6","Type":"Antminer S19"}]}',
    "whatsminer": '{"DEVDETAILS":[{"Name":"SM","Driver":"bitmicro","Model":"M50S_VH30"}]}',
}


def strangers(*, but: Iterable[str] = ()) -> list[str | Mapping[str, Any]]:
    """What devices of other families answer, as far as the kit knows some, ``but`` those of one's own family, such as ``avalon``. Each
    is taken for the answer to every probe of the driver: a text (a page, or a reply of the cgminer-style API), or of a page
    ``{"status", "realm", "location", "body"}``."""
    own = set(but)
    return [reply for name, reply in _OTHERS.items() if name not in own]


def cases() -> list[str]:
    """The names of the cases."""
    return list(native.cases())


def left_out() -> dict[str, str]:
    """The cases that have no sense for a driver in Python, and why."""
    told: dict[str, str] = native.cases_left_out()
    return told


async def run(case: str, rig: Rig) -> None:
    """Runs one case. Raises an AssertionError that says what the driver does wrong, or what the rig raised."""
    driver = rig.driver()
    asked = _Rigged(rig)
    call = native.run_case(registry([driver]), driver.id, text("case", case), _about(rig), asked.ask)
    why: str | None = await call
    if asked.raised is not None:
        raise asked.raised
    if why is not None:
        raise AssertionError(f"{case}: {why}")


def _about(rig: Rig) -> str:
    """What does not change of a rig, JSON."""
    about = {
        "address": rig.address(),
        "ports": mapping("ports", rig.ports()),
        "opts": mapping("opts", rig.opts()),
        "wrongOpts": mapping("wrong_opts", rig.wrong_opts()),
        "secrets": list(rig.secrets()),
        "readsNeedPassword": rig.reads_need_password(),
        "neverReported": list(rig.never_reported()),
        "strangers": [reply if isinstance(reply, str) else dict(reply) for reply in rig.strangers()],
        "outOfRange": rows("out_of_range", rig.out_of_range()),
    }
    return written("rig", about)


class _Rigged(Served):
    """A rig that is asked for the kit."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self.raised: Exception | None = None
        self._does: dict[str, Callable[[Any], Any]] = {
            "clear": lambda _: rig.clear(),
            "executed": lambda _: dict(rig.executed()),
            "fault": rig.fault,
            "meddle": lambda _: rig.meddle(),
            "open_connections": lambda _: rig.open_connections(),
            "pass_time": rig.pass_time,
            "requests": lambda _: rig.requests(),
            "sample": lambda action: _command(rig.sample(action)),
            "truth": lambda _: rig.truth(),
            "write_fault": rig.write_fault,
        }

    async def answer(self, op: str, at: int, question: Any) -> Any:
        return await awaited(self._does[op](question))

    def refuse(self, op: str, e: Exception) -> dict[str, str]:
        self.raised = self.raised or e
        return super().refuse(op, e)


def _command(command: Command | None) -> dict[str, Any] | None:
    return None if command is None else dict(command)
