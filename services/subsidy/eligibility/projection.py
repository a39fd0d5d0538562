"""Read models of entitlements and of deaths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.subsidy.eligibility import events as e
from shared.contracts.registration import DeathReportCorrectedV1, DeathReportedV1
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

entitlement_table = sa.Table(
    "subsidy_entitlement",
    metadata,
    sa.Column("year", sa.Integer, primary_key=True),
    sa.Column("insurance", sa.String(10), primary_key=True),
    sa.Column("person_id", sa.String(32), primary_key=True),
    sa.Column("campaign", sa.String(20), nullable=False),
    sa.Column("village", sa.String(12), nullable=False),
    sa.Column("department", sa.String(64), nullable=False),
    sa.Column("category", sa.String(64), nullable=False),
    sa.Column("payer", sa.String(12), nullable=False),
    sa.Column("government_fen", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Index("subsidy_entitlement_by_department", "campaign", "department", "insurance", "person_id"),
    sa.Index("subsidy_entitlement_by_person", "person_id"),
)

death_table = sa.Table(
    "subsidy_death",
    metadata,
    sa.Column("person_id", sa.String(32), primary_key=True),
    sa.Column("died_on", sa.Date),
)


class EntitlementProjection:
    """Current entitlements."""

    name = "entitlements"
    tables: Sequence[sa.Table] = (entitlement_table, death_table)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.SubsidyClaimReceived,
        e.SubsidyEntitlementResolved,
        e.SubsidyEntitlementRevoked,
        DeathReportedV1,
        DeathReportCorrectedV1,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """Claims and resolutions together, up to what revokes; the latest date of each death."""
        claimed: list[dict[str, Any]] = []
        resolved: list[dict[str, Any]] = []
        deaths: list[dict[str, Any]] = []
        for recorded in events:
            match event := recorded.event:
                case e.SubsidyClaimReceived():
                    claimed.append(_claimed(event))
                case e.SubsidyEntitlementResolved():
                    resolved.append(_resolved(event))
                case e.SubsidyEntitlementRevoked():
                    table = entitlement_table
                    await connection.upsert(table, claimed, ignore=True)
                    await connection.upsert(table, resolved)
                    claimed, resolved = [], []
                    await connection.execute(
                        sa.update(table)
                        .where(
                            table.c.year == event.year,
                            table.c.insurance == event.insurance.value,
                            table.c.person_id == event.person_id,
                        )
                        .values(state="REVOKED")
                    )
                case DeathReportedV1() | DeathReportCorrectedV1():
                    deaths.append({"person_id": event.person_id, "died_on": event.date})
        await connection.upsert(entitlement_table, claimed, ignore=True)
        await connection.upsert(entitlement_table, resolved)
        await connection.upsert(death_table, deaths)


def _claimed(event: e.SubsidyClaimReceived) -> dict[str, Any]:
    """A claim nobody has answered yet: found again when a wrong death is corrected."""
    return {
        "year": event.year,
        "insurance": event.insurance.value,
        "person_id": event.person_id,
        "campaign": event.campaign,
        "village": event.division,
        "department": event.claim.department,
        "category": event.claim.category,
        "payer": "",
        "government_fen": 0,
        "state": "CLAIMED",
    }


def _resolved(event: e.SubsidyEntitlementResolved) -> dict[str, Any]:
    payer = next(leg.payer for leg in event.legs if leg.payer.value in ("finance", "department"))
    return {
        "year": event.year,
        "insurance": event.insurance.value,
        "person_id": event.person_id,
        "campaign": event.campaign,
        "village": event.division,
        "department": event.department,
        "category": event.category,
        "payer": payer.value,
        "government_fen": event.government_fen,
        "state": "RESOLVED",
    }
