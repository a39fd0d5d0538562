"""Reads of history: files and bookings together, per village."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from services.collection.history.domain import Changes, Lapsed, Owed, Paid, changes, lapsed
from services.collection.history.projection import PAYMENT_HISTORY
from services.collection.obligations.facts import TaxpayerFact
from services.collection.obligations.projection import OBLIGATION
from shared.eventstore.commands import FactSource
from shared.eventstore.database import Connection
from shared.kernel.division import parse_campaign
from shared.kernel.insurance import Insurance

IN_LIMIT = 5000
"""Values in one IN list; PostgreSQL takes at most 32,767 parameters."""

BookedInVillage = Callable[[Connection, str, int], Awaitable[Sequence[tuple[str, Insurance, int]]]]
"""(person, insurance, fen) booked in a village for an insured year."""

Published = Callable[[Connection, str, int], Awaitable[bool]]
"""Whether a village's payments of a year were published, or its plan has no such notice."""


@dataclass(frozen=True, slots=True)
class VillageYear:
    """A village's year beside the year before."""

    village: str
    before: Sequence[Paid]
    lapsed: Sequence[Lapsed]
    changes: Changes


class HistoryReader:
    """History of villages; ``booked``, persons and deaths belong to siblings, ``app.py`` passes them in."""

    def __init__(
        self, booked: BookedInVillage, published: Published, persons: FactSource, deaths: FactSource
    ) -> None:
        self._booked = booked
        self._published = published
        self._persons = persons
        self._deaths = deaths

    async def of_village(self, connection: Connection, village: str, year: int) -> Sequence[Paid]:
        """Who had paid for the year: booked here, else told by a file; by insurance and person."""
        c = PAYMENT_HISTORY.c
        rows = await connection.execute(
            sa.select(c.person_id, c.insurance, c.paid_fen).where(c.year == year, c.village == village)
        )
        found = {
            (row.insurance, row.person_id): Paid(
                row.person_id, Insurance(row.insurance), row.paid_fen, "FILE"
            )
            for row in rows
        }
        booked = await self._booked(connection, village, year)
        shown = bool(booked) and await self._published(connection, village, year)
        for person_id, insurance, fen in booked:
            found[insurance.value, person_id] = Paid(person_id, insurance, fen, "BOOKED", shown)
        return [found[key] for key in sorted(found)]

    async def published(self, connection: Connection, village: str, year: int) -> Sequence[Paid]:
        """What rosters and targets of the next year rest on: booked and published, or told by a file."""
        return [paid for paid in await self.of_village(connection, village, year) if paid.published]

    async def payers(
        self, connection: Connection, village: str, year: int
    ) -> Sequence[tuple[str, Insurance]]:
        """As a roster asks: last year's payers (D-12)."""
        found = await self.published(connection, village, year)
        return [(paid.person_id, paid.insurance) for paid in found]

    async def villages(self, connection: Connection, division: str, year: int) -> Sequence[str]:
        """Villages with history or obligations of a year in a division."""
        c, o = PAYMENT_HISTORY.c, OBLIGATION.c
        told = sa.select(c.village).where(c.year == year, c.village.startswith(division, autoescape=True))
        owed = sa.select(o.village).where(o.year == year, o.village.startswith(division, autoescape=True))
        rows = await connection.execute(told.union(owed))
        return sorted({row.village for row in rows})

    async def village_year(self, connection: Connection, campaign: str, village: str) -> VillageYear:
        """A village of a campaign beside the year before (scenario 13)."""
        _, year = parse_campaign(campaign)
        before = await self.published(connection, village, year - 1)
        now = await _owed(connection, campaign, village)
        persons: dict[str, TaxpayerFact] = {}
        deaths: dict[str, dt.date] = {}
        ids = sorted({paid.person_id for paid in before})
        for start in range(0, len(ids), IN_LIMIT):
            persons |= await self._persons.load(connection, ids[start : start + IN_LIMIT])
            deaths |= await self._deaths.load(connection, ids[start : start + IN_LIMIT])
        gone = lapsed(before, now, persons, deaths, village, year)
        return VillageYear(village, before, gone, changes(before, now, gone, year))


async def _owed(connection: Connection, campaign: str, village: str) -> Sequence[Owed]:
    c = OBLIGATION.c
    rows = await connection.execute(
        sa.select(c.person_id, c.insurance, c.birth, c.refused)
        .where(c.campaign == campaign, c.village == village)
        .order_by(c.insurance, c.person_id)
    )
    return [Owed(row.person_id, Insurance(row.insurance), row.birth, row.refused) for row in rows]
