"""Subsidy's entitlements and registration's special assessments, to assessments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.assessment.domain import Entitlement, SpecialAssessment
from services.collection.assessment.handlers import Assessments
from services.collection.obligations.following import follow
from shared.contracts.registration import SpecialPaymentAssessedV1
from shared.contracts.subsidy import SubsidyEntitlementResolvedV1, SubsidyEntitlementRevokedV1
from shared.eventstore.commands import Command, FactSource
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, Wait, derived_key


class NoteEntitlements:
    """Resolved or revoked: reassess while unpaid (I-11, I-12)."""

    name = "note-entitlements"
    handles: tuple[type[msgspec.Struct], ...] = (SubsidyEntitlementResolvedV1, SubsidyEntitlementRevokedV1)

    def __init__(self, assessments: Assessments) -> None:
        self._assessments = assessments

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command]:
        message = recorded.event
        command = Entitlement(
            person_id=message.person_id,
            insurance=message.insurance,
            year=message.year,
            campaign=message.campaign,
            version=message.version,
        )
        if isinstance(message, SubsidyEntitlementResolvedV1):
            command = msgspec.structs.replace(
                command,
                category=message.category,
                department=message.department,
                standard_fen=message.standard_fen,
                legs=message.legs,
            )
        else:
            command = msgspec.structs.replace(command, reason=message.reason)
        about = follow(recorded, self.name, message.campaign)
        return [self._assessments.note_entitlement_command(command, about, None)]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.person_id)


class NoteSpecialAssessments:
    """A special payment assessed by registration (I-31); waits until the person is linked here."""

    name = "note-special-assessments"
    handles: tuple[type[msgspec.Struct], ...] = (SpecialPaymentAssessedV1,)

    def __init__(self, assessments: Assessments, taxpayer_facts: FactSource) -> None:
        self._assessments = assessments
        self._taxpayers = taxpayer_facts

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        message: SpecialPaymentAssessedV1 = recorded.event
        person = (await self._taxpayers.load(connection, [message.person_id])).get(message.person_id)
        link = person.link(message.insurance, message.year) if person is not None else None
        if link is None:
            return Wait("NOT_LINKED")
        command = SpecialAssessment(
            person_id=message.person_id,
            insurance=message.insurance,
            year=message.year,
            campaign=link.campaign,
            assessment_no=message.assessment_no,
            kind=message.kind,
            personal_fen=message.personal_fen,
            fiscal_fen=message.fiscal_fen,
            valid_to=message.valid_to,
            tier_yuan=message.tier_yuan,
        )
        about = follow(recorded, self.name, link.campaign)
        key = derived_key(recorded, "note_special_assessment")
        return [self._assessments.note_special_command(command, about, key)]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.person_id)
