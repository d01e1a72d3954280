"""Drivers for the Kiln with a fault each, and how the kit tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import headframe
from headframe import HeadframeError
from headframe.testkit import Clock

from tests.kiln_driver import Kiln, KilnThing


class WritesTwice(KilnThing):
    async def execute(self, action: str, params: list[Any]) -> dict[str, Any]:
        try:
            return await super().execute(action, params)
        except HeadframeError:
            return await super().execute(action, params)


class SaysNotSent(KilnThing):
    """Without a reply nothing was sent, it says."""

    async def execute(self, action: str, params: list[Any]) -> dict[str, Any]:
        try:
            return await super().execute(action, params)
        except headframe.BadReply as e:
            raise headframe.BadReply(str(e), sent="no") from e


class BelievesYes(KilnThing):
    wanted: Any = None

    async def observe(self, action: str) -> dict[str, Any]:
        shown = await super().observe(action)
        if self.wanted is not None and "now" in shown:
            shown["now"]["args"] = self.wanted
        return shown

    async def execute(self, action: str, params: list[Any]) -> dict[str, Any]:
        done = await super().execute(action, params)
        if action == "setPowerMode":
            self.wanted = params[0]
        return done


class ShowsPassword(KilnThing):
    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            return await super().ask(method, path, body)
        except headframe.Unauthenticated:
            raise headframe.Unauthenticated(f"{self.password} is wrong") from None


class ClaimsStrangers(Kiln):
    probes = ({"get": "/hello", "says": "name"}, *Kiln.probes)


class FindsNothing(Kiln):
    probes = ({"get": "/hello", "says": "oven", "at": "/device"},)


class KnowsNobody(KilnThing):
    async def observe(self, action: str) -> dict[str, Any]:
        return {**await super().observe(action), "identity": {}}


class TakesAnybody(KilnThing):
    """It takes what it was registered as for who answers."""

    async def observe(self, action: str) -> dict[str, Any]:
        return {**await super().observe(action), "identity": {"mac": "02:00:00:00:00:01"}}


class SaysMissing(KilnThing):
    """What is there is said to be missing."""

    def said(self, live: Any, hello: Any, conf: Any, age_ms: int) -> dict[str, Any]:
        told = super().said(live, hello, conf, age_ms)
        told["missing"]["stats.power_w"] = "not_reported"
        return told


class Silent(KilnThing):
    """What is missing has no reason."""

    def said(self, live: Any, hello: Any, conf: Any, age_ms: int) -> dict[str, Any]:
        return {**super().said(live, hello, conf, age_ms), "missing": {}}


class WrongUnit(KilnThing):
    def said(self, live: Any, hello: Any, conf: Any, age_ms: int) -> dict[str, Any]:
        told = super().said(live, hello, conf, age_ms)
        told["stats"]["hashrate_mhs"]["realtime"] /= 1_000
        return told


class NeverLooksAgain(KilnThing):
    async def slow(self) -> tuple[float, dict[str, Any], dict[str, Any]]:
        if self.read is None:
            return await super().slow()
        return self.read


class ServesTheLast(KilnThing):
    """When the device says nothing usable, what it said before is good enough."""

    last: Any = None

    async def snapshot(self) -> dict[str, Any]:
        try:
            self.last = await super().snapshot()
        except HeadframeError:
            if self.last is None:
                raise
        told: dict[str, Any] = self.last
        return told


class BlamesTheNetwork(KilnThing):
    async def snapshot(self) -> dict[str, Any]:
        try:
            return await super().snapshot()
        except headframe.BadReply as e:
            raise headframe.Unreachable(str(e)) from e


class TakesAnything(KilnThing):
    """It lets the device find out what it cannot do."""

    capability = {name: value for name, value in KilnThing.capability.items() if name != "pools_max"}


class HasNoPage(Kiln):
    docs = "Kilns."


class NeedsNoAddress(Kiln):
    async def open(self, opts: dict[str, Any]) -> KilnThing:
        return await super().open({"address": "127.0.0.1", **opts})


def of(thing: type[KilnThing]) -> Callable[[Clock], Kiln]:
    """A driver of such things."""
    return lambda clock: Kiln(clock, thing)


FAULTS: list[tuple[Callable[[Clock], Kiln], str, str]] = [
    (of(WritesTwice), "a_lost_reply_is_never_a_second_write", '"/restart": 2'),
    (of(SaysNotSent), "a_lost_reply_is_never_a_second_write", "reboot: execute"),
    (of(BelievesYes), "a_device_that_only_says_yes_is_not_believed", "setPowerMode is believed"),
    (of(ShowsPassword), "secrets_do_not_show", "a secret is shown"),
    (ClaimsStrangers, "recognises_its_own_device_and_no_other", "claims a stranger"),
    (FindsNothing, "recognises_its_own_device_and_no_other", "its own device is not recognised"),
    (of(KnowsNobody), "a_write_for_another_device_sends_nothing", "nobody can be told"),
    (of(TakesAnybody), "a_write_for_another_device_sends_nothing", "unwrap"),
    (of(SaysMissing), "absent_members_have_a_reason", "stats.power_w is there and said to be missing"),
    (of(Silent), "absent_members_have_a_reason", "stats.all_pools_shares is absent without a reason"),
    (of(WrongUnit), "snapshot_is_the_devices_truth", "hashrate: 120000"),
    (of(NeverLooksAgain), "slow_values_are_at_most_ten_minutes_old", "settings is 6"),
    (of(ServesTheLast), "garbage_is_a_bad_reply", "a device that says nothing usable is an error"),
    (of(BlamesTheNetwork), "half_json_is_a_bad_reply", "HalfJson"),
    (of(TakesAnything), "arguments_out_of_range_send_nothing", "unwrap_err"),
    (HasNoPage, "info_is_well_formed", "the driver's page says"),
    (NeedsNoAddress, "info_is_well_formed", "unwrap_err"),
]
"""A driver, the case that finds it out, and a word of what that says."""
