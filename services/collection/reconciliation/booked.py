"""Who is booked in a village for an insured year: what next year's history is made of (D-12)."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from services.collection.obligations.projection import OBLIGATION
from services.collection.reconciliation.tables import government_line_id, money_line
from shared.eventstore.database import Connection
from shared.kernel.division import campaign_id
from shared.kernel.insurance import GOVERNMENT, Insurance


async def booked_in_village(
    connection: Connection, village: str, year: int
) -> Sequence[tuple[str, Insurance, int]]:
    """(person, insurance, fen of all booked legs) where the person's own leg, or government's whole, is booked."""
    o, m = OBLIGATION.c, money_line.c
    campaigns = [campaign_id(village[:length], year) for length in (6, 9, 12)]
    rows = await connection.execute(
        sa.select(o.person_id, o.insurance, o.paid_line_id, o.personal_fen)
        .where(o.campaign.in_(campaigns), o.village == village, o.assessment_id != "")
        .order_by(o.insurance, o.person_id)
    )
    wanted: dict[str, tuple[str, str]] = {}
    for row in rows:
        if row.paid_line_id:
            wanted[row.paid_line_id] = (row.insurance, row.person_id)
        for payer in GOVERNMENT:
            line_id = government_line_id(year, row.insurance, row.person_id, payer.value)
            wanted[line_id] = (row.insurance, row.person_id)
    own = {(row.insurance, row.person_id): row.personal_fen for row in rows}
    booked: dict[tuple[str, str], int] = {}
    personal: set[tuple[str, str]] = set()
    ids = sorted(wanted)
    for start in range(0, len(ids), 5000):
        found = await connection.execute(
            sa.select(m.line_id, m.fen).where(
                m.line_id.in_(ids[start : start + 5000]), m.stage == "BOOKED", m.standing == "EFFECTIVE"
            )
        )
        for line in found:
            key = wanted[line.line_id]
            booked[key] = booked.get(key, 0) + int(line.fen)
            if not line.line_id.startswith("gov:"):
                personal.add(key)
    return [
        (person_id, Insurance(insurance), booked[insurance, person_id])
        for insurance, person_id in sorted(booked)
        if (insurance, person_id) in personal or own[insurance, person_id] == 0
    ]
