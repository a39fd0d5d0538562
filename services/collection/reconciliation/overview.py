"""A campaign at a glance (征缴总览): people and money per village, payers' money per day. One statement each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.collection.obligations.projection import OBLIGATION
from services.collection.reconciliation.tables import LINE_STAGE, LINES, money_line
from shared.eventstore.database import Connection, Row
from shared.kernel.insurance import Payer

EVERYTHING = "ALL"
"""Stands for the insurance in rows that count people, whatever they owe."""

PEOPLE = ("persons", "exempt_persons", "paid_persons")
OWED = (*PEOPLE, "due_fen", "paid_fen", "subsidised_fen")
ENTERED = ("IN_TREASURY", "FISCAL_ACCOUNT", "RETURNED", "CONFIRMED", "BOOKED")
"""Stages of money that has come home: in the treasury, or in the fiscal account where the plan has none."""
RETURNED = ("RETURNED", "CONFIRMED", "BOOKED")
MONEY = (
    "deposited_fen",
    "declared_fen",
    "in_treasury_fen",
    "returned_fen",
    "booked_fen",
    "refunded_fen",
    "refund_due_fen",
    "unidentified_fen",
)

_o, _m = OBLIGATION.c, money_line.c


def _fen(where: sa.ColumnElement[bool], name: str) -> sa.Label[Any]:
    return sa.cast(sa.func.sum(sa.case((where, _m.fen), else_=0)), sa.BigInteger).label(name)


def _whole(value: sa.ColumnElement[Any], name: str) -> sa.Label[Any]:
    return sa.cast(sa.func.coalesce(sa.func.sum(value), 0), sa.BigInteger).label(name)


async def owed_by_village(connection: Connection, campaign: str) -> Sequence[Row]:
    """(village, insurance, persons, exempt, paid, due, paid fen, subsidised): what is assessed, and paid of it."""
    paid = _o.paid_standing == "EFFECTIVE"
    return await connection.execute(
        sa.select(
            _o.village,
            _o.insurance,
            sa.func.count().label("persons"),
            _whole(sa.case((_o.personal_fen == 0, 1), else_=0), "exempt_persons"),
            _whole(sa.case((sa.and_(paid, _o.personal_fen > 0), 1), else_=0), "paid_persons"),
            _whole(_o.standard_fen, "due_fen"),
            _whole(sa.case((paid, _o.paid_fen), else_=0), "paid_fen"),
            _whole(_o.government_fen, "subsidised_fen"),
        )
        .where(_o.campaign == campaign, _o.refused == "")
        .group_by(_o.village, _o.insurance)
        .order_by(_o.village, _o.insurance)
    )


async def people_by_village(connection: Connection, campaign: str) -> Sequence[Row]:
    """(village, persons, exempt, paid): a person counts once; paid is who owes nothing any more of what he owed."""
    owes = sa.case((_o.personal_fen > 0, 1), else_=0)
    done = sa.case((sa.and_(_o.personal_fen > 0, _o.paid_standing == "EFFECTIVE"), 1), else_=0)
    person = (
        sa.select(_o.village, sa.func.sum(owes).label("owes"), sa.func.sum(done).label("done"))
        .where(_o.campaign == campaign, _o.refused == "")
        .group_by(_o.village, _o.person_id)
        .subquery()
    )
    p = person.c
    return await connection.execute(
        sa.select(
            p.village,
            sa.func.count().label("persons"),
            _whole(sa.case((p.owes == 0, 1), else_=0), "exempt_persons"),
            _whole(sa.case((sa.and_(p.owes > 0, p.owes == p.done), 1), else_=0), "paid_persons"),
        )
        .group_by(p.village)
        .order_by(p.village)
    )


async def money_by_village(connection: Connection, campaign: str) -> Sequence[Row]:
    """(village, insurance, then MONEY): from the lines, never from vouchers."""
    person = _m.payer == Payer.PERSON.value
    return await connection.execute(
        sa.select(
            _m.village,
            _m.insurance,
            _fen(sa.and_(person, LINE_STAGE != "RECEIVED"), "deposited_fen"),
            _fen(sa.or_(_m.declaration_no != "", _m.voucher_no.startswith("PD-")), "declared_fen"),
            _fen(LINE_STAGE.in_(ENTERED), "in_treasury_fen"),
            _fen(LINE_STAGE.in_(RETURNED), "returned_fen"),
            _fen(LINE_STAGE == "BOOKED", "booked_fen"),
            _fen(_m.standing == "REFUNDED", "refunded_fen"),
            _fen(_m.standing == "REFUND_DUE", "refund_due_fen"),
            _fen(_m.standing == "UNIDENTIFIED", "unidentified_fen"),
        )
        .select_from(LINES)
        .where(_m.campaign == campaign)
        .group_by(_m.village, _m.insurance)
        .order_by(_m.village, _m.insurance)
    )


async def villages(connection: Connection, campaign: str) -> list[dict[str, Any]]:
    """A row per village and insurance, and one per village that counts its people."""
    found: dict[tuple[str, str], dict[str, Any]] = {}

    def row(village: str, insurance: str) -> dict[str, Any]:
        empty = {"village": village, "insurance": insurance, **dict.fromkeys((*OWED, *MONEY), 0)}
        return found.setdefault((village, insurance), empty)

    for owed in await owed_by_village(connection, campaign):
        row(owed.village, owed.insurance).update({name: int(getattr(owed, name)) for name in OWED})
    for money in await money_by_village(connection, campaign):
        row(money.village, money.insurance).update({name: int(getattr(money, name)) for name in MONEY})
    for people in await people_by_village(connection, campaign):
        row(people.village, EVERYTHING).update({name: int(getattr(people, name)) for name in PEOPLE})
    return [found[key] for key in sorted(found)]


async def days(connection: Connection, campaign: str) -> Sequence[Row]:
    """(date, channel, insurance, count, fen): payers' money as it came, whatever became of it."""
    keys = [_m.date, _m.channel, _m.insurance]
    return await connection.execute(
        sa.select(*keys, sa.func.count().label("count"), _whole(_m.fen, "fen"))
        .where(_m.campaign == campaign, _m.payer == Payer.PERSON.value, _m.date.is_not(None))
        .group_by(*keys)
        .order_by(*keys)
    )
