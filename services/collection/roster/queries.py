"""Reads of rosters, and the fact sources decisions ask."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa

from services.collection.obligations.facts import RosterFact, RosterStatusFact
from services.collection.obligations.queries import OwedLine
from services.collection.roster.domain import Candidates
from services.collection.roster.events import RosterEntry
from services.collection.roster.projection import LINE, OBJECTION, ROSTER, SUPPLEMENT
from shared.eventstore.commands import FactSource
from shared.eventstore.database import Connection, Row
from shared.kernel.division import parse_campaign
from shared.kernel.insurance import Insurance

IN_LIMIT = 5000
"""Values in one IN list; PostgreSQL takes at most 32,767 parameters."""

AssessedInVillage = Callable[[Connection, str, str], Awaitable[Sequence[OwedLine]]]
PayersOfYear = Callable[[Connection, str, int], Awaitable[Sequence[tuple[str, Insurance]]]]
PaidInVillage = Callable[[Connection, str, str], Awaitable[tuple[int, int]]]


class RosterFacts:
    """``RosterFact`` per (campaign, insurance, person_id), of formed rosters. One query a batch."""

    name = "roster-line"
    beside = False

    async def load(
        self, connection: Connection, keys: Sequence[Hashable]
    ) -> Mapping[tuple[str, str, str], RosterFact]:
        wanted = cast("Sequence[tuple[str, str, str]]", keys)
        c = LINE.c
        rows = await connection.execute(
            sa.select(
                LINE, ROSTER.c.notice_closed, ROSTER.c.final,
                SUPPLEMENT.c.notice_closed.label("supplement_closed"),
            )
            .select_from(
                LINE.join(ROSTER, c.roster_id == ROSTER.c.roster_id).outerjoin(
                    SUPPLEMENT,
                    sa.and_(
                        c.roster_id == SUPPLEMENT.c.roster_id, c.supplement == SUPPLEMENT.c.supplement
                    ),
                )
            )
            .where(
                c.version > 0,
                c.campaign.in_({campaign for campaign, _, _ in wanted}),
                c.person_id.in_({person_id for _, _, person_id in wanted}),
            )
            .order_by(c.roster_id)
        )  # fmt: skip
        return {(row.campaign, row.insurance, row.person_id): _line_fact(row) for row in rows}


def _line_fact(row: Row) -> RosterFact:
    return RosterFact(
        roster_id=row.roster_id,
        village=row.village,
        version=row.version,
        supplement=row.supplement,
        personal_fen=row.personal_fen,
        notice_closed=bool(row.supplement_closed if row.supplement else row.notice_closed),
        final=row.final,
    )


class RosterStatusFacts:
    """``RosterStatusFact`` per roster_id."""

    name = "roster-status"
    beside = False

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[str, RosterStatusFact]:
        still_open = (
            sa.select(sa.func.count())
            .where(OBJECTION.c.roster_id == ROSTER.c.roster_id, OBJECTION.c.outcome == "")
            .scalar_subquery()
        )
        rows = await connection.execute(
            sa.select(ROSTER, still_open.label("open_objections")).where(ROSTER.c.roster_id.in_(keys))
        )
        return {row.roster_id: _status_fact(row) for row in rows}


def _status_fact(row: Row) -> RosterStatusFact:
    return RosterStatusFact(
        roster_id=row.roster_id,
        campaign=row.campaign,
        village=row.village,
        version=row.version,
        state=row.state,
        notice_closed=row.notice_closed,
        final=row.final,
        signed=row.signed,
        pre_declaration_closed=row.pre_declaration_closed,
        stamped=row.stamped,
        digest=row.digest,
        open_objections=row.open_objections,
    )


class RosterCandidates:
    """``Candidates`` per (campaign, village): assessed, alive, with last year's lapsed payers counted.

    The three queries belong to siblings; ``app.py`` passes them in.
    """

    name = "roster-candidates"

    def __init__(self, assessed: AssessedInVillage, payers: PayersOfYear, deaths: FactSource) -> None:
        self._assessed = assessed
        self._payers = payers
        self._deaths = deaths

    async def load(
        self, connection: Connection, keys: Sequence[Hashable]
    ) -> Mapping[tuple[str, str], Candidates]:
        places = cast("Sequence[tuple[str, str]]", keys)
        return {place: await self._place(connection, *place) for place in places}

    async def _place(self, connection: Connection, campaign: str, village: str) -> Candidates:
        owed = await self._assessed(connection, campaign, village)
        persons = sorted({line.person_id for line in owed})
        dead: set[str] = set()
        for start in range(0, len(persons), IN_LIMIT):
            dead |= set(await self._deaths.load(connection, persons[start : start + IN_LIMIT]))
        _, year = parse_campaign(campaign)
        before = await self._payers(connection, village, year - 1)
        now = {(line.person_id, line.insurance) for line in owed}
        return Candidates(
            owed={
                (line.person_id, line.insurance): RosterEntry(
                    line.person_id,
                    line.insurance,
                    line.standard_fen,
                    line.personal_fen,
                    line.category,
                    line.version,
                )
                for line in owed
                if line.person_id not in dead
            },
            paid=frozenset((line.person_id, line.insurance) for line in owed if line.paid),
            dead=frozenset(dead),
            lapsed=sum(key not in now for key in before),
        )


class PaidTotals:
    """(count, fen) of effective payments per (campaign, village)."""

    name = "paid-totals"

    def __init__(self, paid: PaidInVillage) -> None:
        self._paid = paid

    async def load(
        self, connection: Connection, keys: Sequence[Hashable]
    ) -> Mapping[tuple[str, str], tuple[int, int]]:
        places = cast("Sequence[tuple[str, str]]", keys)
        return {place: await self._paid(connection, *place) for place in places}


async def published_on(connection: Connection, campaign: str, village: str) -> dt.date | None:
    """Day on which the notice of a village's payments was over; None while it is not."""
    rows = await connection.execute(
        sa.select(ROSTER.c.published_on).where(ROSTER.c.campaign == campaign, ROSTER.c.village == village)
    )
    return next((row.published_on for row in rows), None)


async def roster_view(connection: Connection, roster_id: str) -> dict[str, Any] | None:
    """A roster with its supplements and objections, as ``GET /rosters/{id}`` answers it."""
    rows = await connection.execute(sa.select(ROSTER).where(ROSTER.c.roster_id == roster_id))
    if not rows:
        return None
    supplements = await connection.execute(
        sa.select(SUPPLEMENT).where(SUPPLEMENT.c.roster_id == roster_id).order_by(SUPPLEMENT.c.supplement)
    )
    objections = await connection.execute(
        sa.select(OBJECTION).where(OBJECTION.c.roster_id == roster_id).order_by(OBJECTION.c.objection_id)
    )
    return {
        **rows[0]._mapping,
        "supplements": [_without_roster(row) for row in supplements],
        "objections": [_without_roster(row) for row in objections],
    }


def _without_roster(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name != "roster_id"}


def rosters_statement(campaign: str, division: str, state: str) -> sa.Select[Any]:
    """Rosters of a campaign, to be paged by roster_id."""
    statement = sa.select(ROSTER).where(ROSTER.c.campaign == campaign)
    if division:
        statement = statement.where(ROSTER.c.village.startswith(division, autoescape=True))
    return statement.where(ROSTER.c.state == state) if state else statement


def lines_statement(roster_id: str, version: int | None) -> sa.Select[Any]:
    """Current lines of a roster (all, or those that came with a version), to be paged by person."""
    statement = sa.select(LINE).where(LINE.c.roster_id == roster_id)
    return statement if version is None else statement.where(LINE.c.version == version)


def line_view(row: Row) -> dict[str, Any]:
    """One item of ``GET /rosters/{id}/lines``."""
    return {
        "person_id": row.person_id,
        "insurance": row.insurance,
        "standard_fen": row.standard_fen,
        "personal_fen": row.personal_fen,
        "category": row.category,
        "version": row.version,
        "supplement": row.supplement,
    }
