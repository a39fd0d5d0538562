"""Quotes (问应缴): the pack's answer to a question, with nothing kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from shared import policy
from shared.eventstore.commands import FactSource
from shared.eventstore.database import Database
from shared.kernel.errors import Refusal
from shared.kernel.identity import Sex
from shared.policy.pack import Pack


class Packs(Protocol):
    """Finds the newest version held of a pack."""

    def newest(self, pack_id: str) -> Pack | None:
        """The pack, or None."""
        ...


class Quotes:
    """Answers ``POST /assessments:quote`` exactly as ``liangxian assess`` does."""

    def __init__(self, packs: Packs, campaign_facts: FactSource, database: Database) -> None:
        self._packs = packs
        self._campaigns = campaign_facts
        self._database = database

    async def quote(self, question: Mapping[str, Any]) -> dict[str, Any] | Refusal:
        """The assessment as JSON-able dict, refusals inside; a Refusal only when no pack can answer.

        question: the route's body; ``pack`` or ``campaign`` names the pack.
        """
        asked = dict(question)
        pack_id, campaign = asked.pop("pack"), asked.pop("campaign")
        pack, extended_to = None, None
        if campaign is not None:
            async with self._database.read() as connection:
                fact = (await self._campaigns.load(connection, [campaign])).get(campaign)
            if fact is None:
                return Refusal(
                    "NO_CAMPAIGN", field="campaign", message="没有这个征缴工作 / no such campaign is open"
                )
            pack, extended_to = fact.pack, fact.extended_to
        elif pack_id is not None:
            pack = self._packs.newest(pack_id)
        if pack is None:
            return Refusal("NOT_FOUND", "PACK", field="pack", message="没有这个政策包 / no such pack")
        asked |= {
            "insurance": policy.Insurance(str(asked["insurance"])),
            "sex": Sex(asked["sex"]) if asked["sex"] else None,
            "hukou": policy.Hukou(asked["hukou"]),
            "categories": tuple(asked["categories"]),
            "listed": tuple(asked["listed"]),
            "extended_to": extended_to,
        }
        return policy.assess(pack, policy.AssessmentRequest(**asked)).as_dict()
