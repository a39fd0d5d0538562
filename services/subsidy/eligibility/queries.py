"""Reads of entitlements."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.subsidy.eligibility.projection import death_table, entitlement_table
from shared.eventstore.database import Connection, Row

_e = entitlement_table.c
_OPEN = ("CLAIMED", "RESOLVED")


class DeathFacts:
    """Date of death per person, for the dead only."""

    name = "deaths"
    beside = False

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        """One query per batch."""
        rows = await connection.execute(
            sa.select(death_table).where(
                death_table.c.person_id.in_(list(keys)), death_table.c.died_on.is_not(None)
            )
        )
        return {row.person_id: row.died_on for row in rows}


async def of_persons(connection: Connection, person_ids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
    """All claims and entitlements of persons, whatever their state, in order of year and insurance."""
    rows = await connection.execute(
        sa.select(entitlement_table)
        .where(_e.person_id.in_(sorted(set(person_ids))))
        .order_by(_e.person_id, _e.year, _e.insurance)
    )
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.person_id, []).append(row)
    return found


async def villages(connection: Connection, campaign: str) -> Sequence[str]:
    """Villages with a live entitlement or an unanswered claim of a campaign."""
    rows = await connection.execute(
        sa.select(_e.village)
        .where(_e.campaign == campaign, _e.state.in_(_OPEN))
        .distinct()
        .order_by(_e.village)
    )
    return [row.village for row in rows]


async def in_village(connection: Connection, campaign: str, village: str) -> Sequence[Row]:
    """Live entitlements and unanswered claims of a village: person, insurance, year."""
    return await connection.execute(
        sa.select(_e.person_id, _e.insurance, _e.year)
        .where(_e.campaign == campaign, _e.village == village, _e.state.in_(_OPEN))
        .order_by(_e.person_id, _e.insurance)
    )


def listing(campaign: str, department: str, insurance: str) -> sa.Select[Any]:
    """Live entitlements by campaign, department and insurance; empty text means any."""
    statement = sa.select(entitlement_table).where(_e.state == "RESOLVED")
    for column, value in ((_e.campaign, campaign), (_e.department, department), (_e.insurance, insurance)):
        if value:
            statement = statement.where(column == value)
    return statement


async def payable(connection: Connection, campaign: str, department: str, insurance: str) -> Sequence[Row]:
    """Every live entitlement of a department, ordered by person: what finance is to pay."""
    return await connection.execute(listing(campaign, department, insurance).order_by(_e.person_id))


async def totals(connection: Connection, campaign: str, department: str) -> tuple[int, int]:
    """(persons, fen) of a department's live entitlements over both insurances."""
    rows = await connection.execute(
        sa.select(
            sa.func.count().label("persons"), sa.func.coalesce(sa.func.sum(_e.government_fen), 0)
        ).where(_e.campaign == campaign, _e.department == department, _e.state == "RESOLVED")
    )
    persons, fen = tuple(rows[0])
    return int(persons), int(fen)
