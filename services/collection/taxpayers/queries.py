"""Reads of taxpayers, and the fact sources decisions ask."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from services.collection.obligations.facts import EnrolmentLink, TaxpayerFact
from services.collection.taxpayers.projection import DECEASED, ENROLLED, SCOPE, TAXPAYER
from shared.eventstore.commands import Lookup
from shared.eventstore.database import Connection, Row, among
from shared.kernel.insurance import Insurance


class TaxpayerFacts:
    """``TaxpayerFact`` per person_id, with his live links. One query a batch."""

    name = "taxpayer"
    beside = False

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[str, TaxpayerFact]:
        links = ENROLLED.c
        rows = await connection.execute(
            sa.select(
                TAXPAYER, links.insurance, links.year, links.campaign, links.village.label("link_village"),
                links.record_no, links.virtual_household_id,
            )
            .select_from(TAXPAYER.outerjoin(ENROLLED, TAXPAYER.c.person_id == links.person_id))
            .where(TAXPAYER.c.person_id.in_(keys))
            .order_by(links.year, links.insurance)
        )  # fmt: skip
        persons: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            persons[row.person_id].append(row)
        return {person_id: _fact(found) for person_id, found in persons.items()}


def _fact(rows: Sequence[Row]) -> TaxpayerFact:
    person = rows[0]
    return TaxpayerFact(
        person_id=person.person_id,
        taxpayer_no=person.taxpayer_no,
        birth=person.birth,
        sex=person.sex,
        hukou_division=person.hukou_division,
        residence_permit=person.residence_permit,
        student=person.student,
        village=person.village,
        household=person.household,
        links=tuple(
            EnrolmentLink(
                Insurance(row.insurance), row.year, row.campaign, row.link_village, row.record_no,
                row.virtual_household_id,
            )
            for row in rows
            if row.insurance is not None
        ),
    )  # fmt: skip


_DEATHS = sa.select(DECEASED.c.person_id, DECEASED.c.died_on).where(among(DECEASED.c.person_id))


class DeathFacts(Lookup):
    """Date of death per person_id, as registration says it counts; absent for the living."""

    name = "death"
    statement = _DEATHS

    def facts(self, rows: Sequence[Row]) -> Mapping[str, dt.date]:
        return {row.person_id: row.died_on for row in rows}


@dataclass(frozen=True, slots=True)
class HouseholdScope:
    """The virtual household that collects in a village."""

    virtual_household_id: str
    mode: str


class HouseholdScopes:
    """``HouseholdScope`` per (campaign, insurance, village): the narrowest scope that holds the village."""

    name = "household-scope"
    beside = False

    async def load(
        self, connection: Connection, keys: Sequence[Hashable]
    ) -> Mapping[tuple[str, str, str], HouseholdScope]:
        places = cast("Sequence[tuple[str, str, str]]", keys)
        divisions = {village[:length] for _, _, village in places for length in (6, 9, 12)}
        rows = await connection.execute(
            sa.select(SCOPE)
            .where(
                SCOPE.c.campaign.in_({campaign for campaign, _, _ in places}), SCOPE.c.division.in_(divisions)
            )
            .order_by(SCOPE.c.division, SCOPE.c.virtual_household_id)
        )
        scopes = {
            (row.campaign, row.insurance, row.division): HouseholdScope(row.virtual_household_id, row.mode)
            for row in rows
        }
        found = {}
        for campaign, insurance, village in places:
            for length in (12, 9, 6):
                scope = scopes.get((campaign, insurance, village[:length]))
                if scope is not None:
                    found[campaign, insurance, village] = scope
                    break
        return found


async def fallback_campaigns(connection: Connection) -> frozenset[str]:
    """Campaigns where some virtual household collects from special groups only."""
    rows = await connection.execute(sa.select(SCOPE.c.campaign).where(SCOPE.c.mode == "FALLBACK").distinct())
    return frozenset(row.campaign for row in rows)


async def linked_persons(
    connection: Connection, campaign: str, insurance: str, division: str
) -> Sequence[tuple[str, int]]:
    """(person_id, year) of the live links in a division."""
    rows = await connection.execute(
        sa.select(ENROLLED.c.person_id, ENROLLED.c.year)
        .where(
            ENROLLED.c.campaign == campaign,
            ENROLLED.c.insurance == insurance,
            ENROLLED.c.village.startswith(division, autoescape=True),
        )
        .order_by(ENROLLED.c.person_id)
    )
    return [(row.person_id, row.year) for row in rows]


async def links_of(connection: Connection, person_id: str, insurance: Insurance) -> Sequence[tuple[str, int]]:
    """(campaign, year) of a person's live links for an insurance."""
    rows = await connection.execute(
        sa.select(ENROLLED.c.campaign, ENROLLED.c.year)
        .where(ENROLLED.c.person_id == person_id, ENROLLED.c.insurance == insurance.value)
        .order_by(ENROLLED.c.year)
    )
    return [(row.campaign, row.year) for row in rows]


async def linked_villages(connection: Connection, campaign: str) -> Sequence[str]:
    """Villages with a live link in a campaign."""
    rows = await connection.execute(
        sa.select(ENROLLED.c.village)
        .where(ENROLLED.c.campaign == campaign)
        .distinct()
        .order_by(ENROLLED.c.village)
    )
    return [row.village for row in rows]


async def linked_in_village(
    connection: Connection, campaign: str, village: str
) -> Sequence[tuple[str, Insurance, int]]:
    """(person_id, insurance, year) of the live links of a village."""
    rows = await connection.execute(
        sa.select(ENROLLED.c.person_id, ENROLLED.c.insurance, ENROLLED.c.year)
        .where(ENROLLED.c.campaign == campaign, ENROLLED.c.village == village)
        .order_by(ENROLLED.c.person_id, ENROLLED.c.insurance)
    )
    return [(row.person_id, Insurance(row.insurance), row.year) for row in rows]


async def taxpayer_view(connection: Connection, person_id: str) -> dict[str, Any] | None:
    """A person as ``GET /taxpayers/{person_id}`` answers him: no name, no number."""
    fact = (await TaxpayerFacts().load(connection, [person_id])).get(person_id)
    if fact is None:
        return None
    died_on = (await DeathFacts().load(connection, [person_id])).get(person_id)
    return {
        "person_id": fact.person_id,
        "taxpayer_no": fact.taxpayer_no,
        "birth": fact.birth,
        "sex": fact.sex,
        "village": fact.village,
        "hukou_division": fact.hukou_division,
        "household": fact.household,
        "died_on": died_on,
        "links": [
            {
                "insurance": link.insurance,
                "year": link.year,
                "campaign": link.campaign,
                "village": link.village,
                "record_no": link.record_no,
                "virtual_household_id": link.virtual_household_id,
            }
            for link in fact.links
        ],
    }
