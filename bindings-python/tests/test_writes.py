"""Writes to devices: pushed, voted on, held and carried out."""

from __future__ import annotations

from typing import Any

import headframe
from headframe import Conflict, Forbidden, NotFound, Simulator, Site

from tests.support import RACK, TWO_VOTES, AsyncCase, now, settled, until

SLEEP: dict[str, Any] = {"action": "setPowerMode", "params": ["sleep"], "query": {}, "why": "price"}


class Writes(AsyncCase):
    async def known(self, base: str, count: int = 1) -> tuple[Simulator, Site]:
        """A site that knows who its devices are: nothing is written to one that cannot be told from another."""
        simulator = await self.simulated(base, whatsminers=count)
        site = await self.polled(simulator, policy=TWO_VOTES)
        await until(now(site.counts), lambda counts: counts["pollsDone"] >= 3 * count)
        return simulator, site

    async def test_what_two_people_approved_is_carried_out_once_and_told(self) -> None:
        simulator, site = await self.known("127.105.40.1", 2)
        preview = await site.actions.preview(SLEEP, "ann@site")
        self.assertEqual((len(preview["targets"][RACK]), preview["terms"]["votes_for"]), (2, 2))
        pushed = await site.actions.push(SLEEP, "ann@site")
        self.assertEqual(pushed["errors"], [])
        id = pushed["id"]
        with self.assertRaises(Conflict) as caught:
            await site.actions.vote(id, {"approve": True}, "ann@site")
        self.assertEqual(caught.exception.code, "ERR_VOTER_EXISTS")
        async with site.actions.watch() as changes:
            await site.actions.vote(id, {"approve": True}, "bob@site")
            async for change in changes:
                if change["status"] not in ("APPROVED", "EXECUTING"):
                    break
        done = await site.actions.get(str(id))
        assert done is not None
        self.assertEqual((done["status"], done["counts"]["ok"]), ("COMPLETED", 2), done)
        self.assertEqual([simulator.truth(at)["executed"] for at in (0, 1)], [{"power_off": 1}] * 2)
        self.assertEqual([action["id"] for action in await site.actions.query("done")], [id])
        self.assertEqual(await site.actions.query("voting"), [])
        self.assertIsNone(await site.actions.get(1))

    async def test_what_is_not_wanted_is_held_and_cancelled(self) -> None:
        simulator, site = await self.known("127.105.41.1")
        # Nothing begins in a site that is halted, so that what is approved can still be held.
        await site.actions.halt("ann@site", "smoke")
        id = (await site.actions.push(SLEEP, "ann@site"))["id"]
        with self.assertRaises(headframe.HeadframeError) as caught:
            await site.actions.withdraw(id, "ann@site")
        self.assertEqual(caught.exception.code, "ERR_VOTER_IS_CREATOR")
        approved = await site.actions.vote(id, {"approve": True}, "bob@site")
        self.assertEqual(approved["status"], "APPROVED")
        with self.assertRaises(Conflict):
            await site.actions.stop(id, "bob@site", "smoke")
        self.assertEqual((await site.actions.pause(id, "bob@site", "smoke"))["id"], id)
        self.assertEqual((await site.actions.resume(id, "bob@site"))["id"], id)
        self.assertEqual((await site.actions.cancel(id, "ann@site"))["status"], "CANCELLED")
        self.assertEqual(simulator.truth(0)["executed"], {})

    async def test_a_vote_against_denies_and_nobody_else_may_cancel(self) -> None:
        simulator, site = await self.known("127.105.42.1")
        id = (await site.actions.push(SLEEP, "ann@site"))["id"]
        with self.assertRaises(Forbidden):
            await site.actions.cancel(id, "bob@site")
        denied = await site.actions.vote(id, {"approve": False, "why": "not today"}, "bob@site")
        self.assertEqual((denied["status"], (await settled(site, id))["counts"]["ok"]), ("DENIED", 0))
        with self.assertRaises(NotFound):
            await site.actions.cancel(7, "ann@site")
        self.assertEqual(simulator.truth(0)["executed"], {})
