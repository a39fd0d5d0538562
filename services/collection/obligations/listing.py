"""``GET /obligations``: what people owe, village by village, page after page (应缴明细)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.obligations.projection import OBLIGATION
from shared.eventstore.database import Row
from shared.kernel.division import parse_campaign
from shared.kernel.insurance import Insurance
from shared.web.paging import decode_cursor

MAX_OBLIGATIONS = 5000
"""Items of a page: a whole village."""

_c = OBLIGATION.c
KEY = (_c.village, _c.insurance, _c.person_id)
"""Order of the pages; with the campaign in front it is the table's index."""

INSURANCES = tuple(insurance.value for insurance in Insurance)

_COLUMNS = (
    _c.person_id,
    _c.insurance,
    _c.year,
    _c.campaign,
    _c.village,
    _c.assessment_id,
    _c.version,
    _c.standard_fen,
    _c.personal_fen,
    _c.government_fen,
    _c.legs,
    _c.matching_subsidy_fen,
    _c.category,
    _c.tier_yuan,
    _c.refused,
    _c.hold_until,
    _c.paid_standing,
    _c.paid_fen,
    _c.paid_at,
    _c.paid_channel,
)


class ObligationItem(msgspec.Struct, frozen=True, array_like=False):
    """One item; fields in the order of the statement's columns, ``paid`` in front."""

    paid: bool
    person_id: str
    insurance: str
    year: int
    campaign: str
    village: str
    assessment_id: str
    version: int
    standard_fen: int
    personal_fen: int
    government_fen: int
    legs: msgspec.Raw
    matching_subsidy_fen: int
    category: str
    tier_yuan: int | None
    refused: str
    hold_until: Any
    paid_standing: str
    paid_fen: int
    paid_at: Any
    paid_channel: str


def obligations_statement(
    campaign: str, village: str, insurance: str, person_id: str, after: str, limit: int
) -> sa.Select[Any]:
    """A page, one row more than ``limit``. village: a village, or the digits its code begins with; "" is all."""
    statement = sa.select(*_COLUMNS).where(_c.campaign == campaign)
    if len(village) == 12:
        statement = statement.where(_c.village == village)
    elif village:
        statement = statement.where(_c.village >= village)
        if village.strip("9"):
            statement = statement.where(_c.village < str(int(village) + 1).zfill(len(village)))
    if insurance:
        statement = statement.where(_c.insurance == insurance)
    if person_id:
        statement = statement.where(_c.person_id == person_id, _c.insurance.in_(INSURANCES))
        with suppress(ValueError):  # what is no campaign has no obligations
            statement = statement.where(_c.year == parse_campaign(campaign)[1])  # all of the table's key
    if after:
        values = decode_cursor(after, KEY)
        behind = sa.tuple_(*KEY) > sa.tuple_(*(sa.literal(value, sa.Text) for value in values))
        statement = statement.where(behind)
    return statement.order_by(*KEY).limit(limit + 1)


def obligation_item(row: Row) -> ObligationItem:
    """An item of a row of ``obligations_statement``."""
    (
        person_id, insurance, year, campaign, village, assessment_id, version, standard_fen, personal_fen,
        government_fen, legs, matching_fen, category, tier_yuan, refused, hold_until, standing, paid_fen,
        paid_at, channel,
    ) = row  # fmt: skip
    return ObligationItem(
        standing == "EFFECTIVE", person_id, insurance, year, campaign, village, assessment_id, version,
        standard_fen, personal_fen, government_fen, msgspec.Raw(legs), matching_fen, category, tier_yuan,
        refused, hold_until, standing or "", paid_fen or 0,
        paid_at.isoformat() if paid_at is not None else None, channel or "",
    )  # fmt: skip
