"""Entitlements as published messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.subsidy.eligibility import events as e
from shared.contracts import subsidy as c
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class EntitlementPublication:
    """资助资格."""

    name = "eligibility"
    handles: tuple[type[Event], ...] = (
        e.SubsidyOverlapDetected,
        e.SubsidyEntitlementResolved,
        e.SubsidyEntitlementRevoked,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """One message per event."""
        event = recorded.event
        match event:
            case e.SubsidyOverlapDetected():
                return [
                    c.SubsidyOverlapDetectedV1(
                        person_id=event.person_id,
                        insurance=event.insurance,
                        year=event.year,
                        departments=tuple(sorted({claim.department for claim in event.claims})),
                        categories=tuple(sorted({claim.category for claim in event.claims})),
                    )
                ]
            case e.SubsidyEntitlementResolved():
                return [
                    c.SubsidyEntitlementResolvedV1(
                        person_id=event.person_id,
                        insurance=event.insurance,
                        year=event.year,
                        campaign=event.campaign,
                        version=event.version,
                        category=event.category,
                        department=event.department,
                        standard_fen=event.standard_fen,
                        legs=event.legs,
                        rule=event.rule,
                        clause=event.clause,
                    )
                ]
            case e.SubsidyEntitlementRevoked():
                return [
                    c.SubsidyEntitlementRevokedV1(
                        person_id=event.person_id,
                        insurance=event.insurance,
                        year=event.year,
                        campaign=event.campaign,
                        version=event.version,
                        reason=event.reason,
                        from_date=event.from_date,
                    )
                ]
            case _:
                return []
