"""Resolved and revoked subsidies as what government carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.registration.causes import following
from services.registration.entitlements.domain import NoteGovernment
from services.registration.entitlements.handlers import Entitlements
from shared.contracts.subsidy import SubsidyEntitlementResolvedV1, SubsidyEntitlementRevokedV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, Wait
from shared.kernel.insurance import GOVERNMENT, Insurance


class NoteGovernmentLegs:
    """资助资格确定、取消 of the medical insurance: noted, and the cover reviewed in the same decision."""

    name = "note-government-legs"
    handles: tuple[type[msgspec.Struct], ...] = (SubsidyEntitlementResolvedV1, SubsidyEntitlementRevokedV1)

    def __init__(self, entitlements: Entitlements) -> None:
        self._entitlements = entitlements

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One command; the pension account needs no such note."""
        message = recorded.event
        if message.insurance is not Insurance.MEDICAL:
            return []
        government, standard = 0, 0
        if isinstance(message, SubsidyEntitlementResolvedV1):
            government = sum(leg.fen for leg in message.legs if leg.payer in GOVERNMENT)
            standard = message.standard_fen
        noted = NoteGovernment(
            message.person_id, message.year, message.campaign, message.version, government, standard
        )
        metadata = following(recorded, self.name, message.campaign)
        return [self._entitlements.note_government_command(noted, metadata)]

    def key(self, recorded: Recorded[Any]) -> str:
        """Per person."""
        return str(recorded.event.person_id)
