"""What is raised: typed errors, and Invalid for whatever makes no sense."""

from __future__ import annotations

import asyncio
import copy
import pickle
import unittest
from collections.abc import Callable
from typing import Any

import headframe
from headframe import HeadframeError, Invalid, NotFound

from tests.support import ANN, RACK, AsyncCase, conf, cyclic, nested
from trust.values import Described, Dict, Endless, Fails, Lies, Looked, PathOf, Text, Whole, broken
from trust.world import Unreadable

KINDS = [error for error in vars(headframe).values() if isinstance(error, type) and issubclass(error, HeadframeError)]
MEMBERS = ("code", "kind", "op", "sent", "retryable", "context")


ODD: dict[str, Callable[[], Any]] = {
    "an object": object,
    "a set": lambda: {1},
    "bytes": lambda: b"1",
    "a complex number": lambda: 1j,
    "a key that is no text": lambda: {(1, 2): 3},
    "NaN": lambda: float("nan"),
    "infinity": lambda: [float("inf")],
    "a number of 400 digits": lambda: 10**400,
    "a number of 5,000 digits": lambda: {"n": 10**5_000},
    "half of a character": lambda: "\ud800",
    "half of a character as a key": lambda: {"\udfff": 1},
    "a dict that has itself": cyclic,
    "lists in lists": lambda: nested(200),
    "very many lists in lists": lambda: nested(20_000),
}
"""What JSON, or this library, has no place for."""


def each(*odd: Any) -> tuple[Any, ...]:
    """Values that no type checker would let through."""
    return odd


class Classes(unittest.TestCase):
    def test_each_kind_has_a_class_and_a_code_of_its_own(self) -> None:
        own = [error for error in KINDS if error is not HeadframeError]
        self.assertEqual(len(own), 14)
        self.assertEqual([error.__name__ for error in own], [error.kind for error in own])
        self.assertEqual(len({error("x").code for error in own}), 14)

    def test_an_error_that_says_nothing_of_itself_was_not_sent_and_is_not_to_be_repeated(self) -> None:
        for error in KINDS:
            made = error("why")
            self.assertEqual((str(made), made.sent, made.retryable, made.context), ("why", "no", False, {}))

    def test_errors_do_not_share_what_they_say(self) -> None:
        one, other = Invalid("x"), Invalid("x")
        one.context["field"] = "range"
        self.assertEqual(other.context, {})

    def test_an_error_survives_pickle_and_copy(self) -> None:
        for error in KINDS:
            made = error("why – 高", code="C", op="o", sent="maybe", retryable=True, context={"a": "b"})
            made.context["more"] = "c"
            for again in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made)):
                self.assertIs(type(again), error)
                self.assertEqual(str(again), "why – 高")
                for name in MEMBERS:
                    self.assertEqual(getattr(again, name), getattr(made, name), name)


class Raised(AsyncCase):
    async def test_an_error_says_what_failed_where_and_what_to_do(self) -> None:
        with self.assertRaises(NotFound) as caught:
            await headframe.open_device("steamminer", {"address": "127.105.50.1"})
        e = caught.exception
        self.assertEqual((e.kind, e.code, e.sent, e.retryable), ("NotFound", "ERR_NOT_FOUND", "no", False))
        self.assertEqual(e.context, {"field": "driver", "known": "antminer whatsminer"})
        self.assertTrue(e.op and e.op in str(e), (e.op, str(e)))

    async def test_an_error_that_was_raised_survives_pickle(self) -> None:
        device = await headframe.open_device("whatsminer", {"address": "127.105.51.1", "port": 14028})
        with self.assertRaises(headframe.Unreachable) as caught:
            await device.snapshot()
        e = caught.exception
        again = pickle.loads(pickle.dumps(e))
        self.assertEqual((type(again), str(again), vars(again)), (type(e), str(e), vars(e)))
        self.assertTrue(e.retryable)

    async def test_codes_of_miningos_come_with_their_kind(self) -> None:
        site = await self.site(conf())
        for method, who, code in (
            ("noSuchMethod", ANN, "UNKNOWN_METHOD"),
            ("ping", {"user": "x", "permissions": ["fly"]}, "ERR_PERMISSION_INVALID"),
            ("listThings", {"user": "x", "permissions": []}, "ERR_AUTH_FAIL_NO_PERMS"),
        ):
            with self.assertRaises(HeadframeError) as caught:
                await site.call(who, method)
            self.assertEqual(caught.exception.code, code)
            self.assertEqual(type(caught.exception).__name__, caught.exception.kind)

    async def test_a_site_that_is_not_there_is_told_by_code(self) -> None:
        with self.assertRaises(NotFound) as caught:
            await headframe.Site.open("/nowhere/at/all", {})
        self.assertEqual(caught.exception.code, "STORE_MISSING")

    async def test_a_call_is_awaited_once(self) -> None:
        site = await self.site()
        for call in (site.call(ANN, "ping"), site._native.call(*CALL), site._native.backup(str(self.folder() / "b"))):
            await call
            with self.assertRaises(RuntimeError):
                await call

    async def test_a_call_that_failed_is_awaited_once(self) -> None:
        site = await self.site()
        call = site._native.call(CALL[0], "noSuchMethod", "{}")
        with self.assertRaises(HeadframeError):
            await call
        with self.assertRaises(RuntimeError):
            await call

    async def test_a_call_that_nobody_awaits_harms_nobody(self) -> None:
        site = await self.site()
        for _ in range(100):
            site._native.call(*CALL)
        self.assertEqual(await site.call(ANN, "ping", {"n": 7}), {"n": 7})


CALL = ('{"user": "ann", "permissions": ["*:rw"]}', "ping", "{}")


class Refusing(AsyncCase):
    async def refused(self, call: Callable[[], Any], what: str) -> Invalid:
        """The error of a call, wherever it is raised."""
        with self.assertRaises(Invalid, msg=what) as caught:
            given = call()
            if asyncio.iscoroutine(given):
                await given
        return caught.exception


class Wrong(Refusing):
    async def test_what_json_has_no_place_for_is_invalid(self) -> None:
        site = await self.site(conf())
        for what, odd in ODD.items():
            for call in (
                lambda: site.list({"limit": odd()}),
                lambda: site.call(ANN, "listThings", odd()),
                lambda: site.call({"user": odd(), "permissions": []}, "ping"),
                lambda: site.register(RACK, [{"opts": {"address": odd()}}], "ann"),
                lambda: site.series({"things": odd()}),
                lambda: site.actions.push({"action": odd(), "params": [], "query": {}}, "ann"),
                lambda: headframe.open_device("whatsminer", {"address": odd()}),
                lambda: headframe.Site.open(self.folder() / "x", {"racks": odd()}, how="create"),
            ):
                await self.refused(call, what)
        self.assertEqual(site.counts()["things"], 0)

    async def test_a_number_that_would_be_another_one_is_refused(self) -> None:
        site = await self.site(conf())
        for limit in each(2**64, -1, 1.5, "3", True):
            await self.refused(lambda: site.list({"limit": limit}), repr(limit))

    async def test_names_and_paths_are_texts(self) -> None:
        site = await self.site(conf())
        for odd in each(None, 7, b"x", [], "\ud800"):
            for call in (
                lambda: site.call(ANN, odd),
                lambda: site.register(odd, [], "ann"),
                lambda: site.register(RACK, [], odd),
                lambda: site.find(odd, "ann"),
                lambda: site.backup(odd),
                lambda: site.actions.halt(odd),
                lambda: site.actions.query(odd),
                lambda: headframe.discover(odd),
                lambda: headframe.open_device(odd, {}),
                lambda: headframe.Site.open(odd, {}),
                lambda: headframe.Site.open("x", {}, how=odd),
                lambda: headframe.Site.restore(odd, "x"),
            ):
                await self.refused(call, repr(odd))

    async def test_members_are_mappings_and_lists_are_lists(self) -> None:
        site = await self.site(conf())
        for odd in each(7, "x", [("a", 1)], object()):
            for call in (
                lambda: site.list(odd),
                lambda: site.call(odd, "ping"),
                lambda: site.series(odd),
                lambda: site.register(RACK, [odd], "ann"),
                lambda: site.find("127.105.52.1", "ann", ports=odd),
                lambda: site.find("127.105.52.1", "ann", logins=[odd]),
                lambda: site.actions.push(odd, "ann"),
                lambda: site.actions.vote(7, odd, "ann"),
                lambda: headframe.discover("127.105.52.1", ports=odd),
                lambda: headframe.open_device("whatsminer", odd),
                lambda: headframe.open_device("whatsminer", {}, drivers=[odd]),
                lambda: headframe.Site.open("x", odd),
            ):
                await self.refused(_begun(call), repr(odd))
        for odd in each(7, object()):
            await self.refused(lambda: site.register(RACK, odd, "ann"), repr(odd))
            await self.refused(lambda: site.find("127.105.52.1", "ann", logins=odd), repr(odd))
            await self.refused(lambda: headframe.open_device("whatsminer", {}, drivers=odd), repr(odd))

    async def test_times_and_sizes_are_whole_numbers(self) -> None:
        site = await self.site()
        simulator = await self.simulated("127.105.53.1")
        for odd in each(-1, 2**32, 10**5_000, 1.0, "1", True, None, float("nan")):
            for call in (
                lambda: site.subscribe(capacity=odd),
                lambda: site.subscribe(most=odd),
                lambda: site.aclose(within_ms=odd),
                lambda: simulator.truth(odd),
            ):
                await self.refused(call, str(type(odd)))
        await self.refused(lambda: simulator.truth(1), "a device that is not there")
        await self.refused(lambda: simulator.fault(0, {"kind": "sulk"}), "a fault that nobody knows")

    async def test_ids_of_actions_are_whole_numbers_or_their_texts(self) -> None:
        actions = (await self.site()).actions
        for odd in each(-1, 2**64, 10**5_000, 1.0, True, None, [], "\ud800"):
            await self.refused(lambda: actions.get(odd), str(type(odd)))
            await self.refused(lambda: actions.vote(odd, {"approve": True}, "ann"), str(type(odd)))

    async def test_a_configuration_that_means_nothing_is_refused_with_its_member(self) -> None:
        e = await self.refused(lambda: headframe.Site.open(self.folder(), {"rackz": []}, how="create"), "rackz")
        self.assertIn("rackz", str(e))
        e = await self.refused(lambda: headframe.Site.open(self.folder(), {}, how=each("somehow")[0]), "how")
        self.assertEqual(e.context["field"], "how")


class Hostile(Refusing):
    """Values whose own code is what goes wrong."""

    async def test_what_raises_when_it_is_looked_at_is_invalid(self) -> None:
        site = await self.site(conf())
        lies: list[Callable[[], Any]] = [lambda: Lies(str), lambda: Lies(dict), lambda: Lies(int), lambda: Dict(a=1)]
        makers: list[Callable[[], Any]] = [Fails, Looked, Endless, *lies]
        for make in makers:
            for call in (
                lambda: site.list(make()),
                lambda: site.call(make(), "ping"),
                lambda: site.call(ANN, make()),
                lambda: site.call(ANN, "listThings", {"query": make()}),
                lambda: site.register(RACK, [make()], "ann"),
                lambda: site.register(RACK, make(), "ann"),
                lambda: site.statistics(make()),
                lambda: site.readings(make(), start=0, end=1),
                lambda: site.readings(["m"], start=0, end=1, members=make()),
                lambda: site.subscribe(capacity=make()),
                lambda: site.actions.get(make()),
                lambda: site.actions.vote(7, make(), "ann"),
                lambda: site.actions.query(make()),
                lambda: site.backup(make()),
                lambda: site.find("127.105.52.1", "ann", logins=make()),
                lambda: headframe.open_device("whatsminer", make()),
                lambda: headframe.open_device("whatsminer", {}, drivers=make()),
                lambda: headframe.open_device("whatsminer", {}, drivers=[make()]),
            ):
                await self.refused(call, repr(type(make())))

    async def test_a_list_or_a_path_that_breaks_off_is_invalid(self) -> None:
        site = await self.site(conf())
        await self.refused(lambda: site.register(RACK, broken(), "ann"), "a generator")
        for told in each(b"x", 7, "\ud800", "x\0y"):
            await self.refused(lambda: site.backup(PathOf(told)), repr(told))

    async def test_lists_of_things_are_lists(self) -> None:
        site = await self.site(conf())
        for odd in each(None, 7, object()):
            await self.refused(lambda: site.readings(odd, start=0, end=1), repr(odd))
        await self.refused(lambda: site.readings(["m"], start=0, end=1, members=each(7)[0]), "members")

    async def test_a_driver_of_which_something_is_odd_is_refused(self) -> None:
        for member in ("id", "kind", "make"):
            for odd in each(None, 7, "\ud800", b"x", Fails(), Looked()):
                driver = Described(**{member: odd})
                await self.refused(lambda: headframe.open_device("described", {}, drivers=[driver]), member)
        await self.refused(lambda: headframe.open_device("described", {}, drivers=[Described(open=7)]), "open")

    async def test_subclasses_are_taken_for_what_they_hold(self) -> None:
        site = await self.site(conf())
        self.assertEqual(await site.call(ANN, Text("ping"), {"n": Whole(7)}), {"n": 7})
        self.assertEqual(await site.actions.query(Text("voting")), [])
        self.assertIsNone(await site.actions.get(Whole(7)))
        await self.refused(lambda: site.subscribe(capacity=Whole(2**40)), "more than it says")
        await self.refused(lambda: site.actions.query(Text("\ud800")), "half a character")

    async def test_an_error_of_a_driver_that_cannot_be_read_is_an_answer(self) -> None:
        def opened(opts: dict[str, Any]) -> Any:
            raise Unreadable("why")

        with self.assertRaises(headframe.BadReply) as caught:
            await headframe.open_device("described", {"address": "127.105.54.1"}, drivers=[Described(open=opened)])
        self.assertIn("cannot be told", str(caught.exception))


def _begun(call: Callable[[], Any]) -> Callable[[], Any]:
    """A scan begins with its first event."""

    def begun() -> Any:
        given = call()
        return _first(given) if isinstance(given, headframe.Discovery) else given

    return begun


async def _first(scan: headframe.Discovery) -> Any:
    return await anext(scan)
