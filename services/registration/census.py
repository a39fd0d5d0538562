"""People, enrolments, payments and deaths counted together (应保尽保). Part of the composition root.

The only place that joins the read models of several capabilities; ``coverage`` is given its two questions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.registration.accounts.projection import ACCOUNT_ENTRY
from services.registration.coverage.domain import Circumstances, Group
from services.registration.coverage.projection import COVER_ELSEWHERE, EMPLOYEE_SPELL
from services.registration.enrolment.projection import ENROLMENT
from services.registration.entitlements.projection import ENTITLEMENT, PAID_LINE
from services.registration.people.projection import PERSON
from services.registration.vital.projection import DEATH_REPORT
from shared.eventstore.database import Connection, Row
from shared.kernel.insurance import Insurance

_p = PERSON.c
ENDED = ("", "REJECTED", "CANCELLED", "TERMINATED")


async def groups(
    connection: Connection, year: int, insurance: Insurance, division: str, villages: bool
) -> list[Group]:
    """Living people of a division by circumstances, and by village where those are wanted."""
    census = _Census(year, insurance)
    columns = census.columns if villages else [sa.literal("").label("village"), *census.columns[1:]]
    labels: list[sa.ColumnElement[Any]] = [sa.literal_column(each.name) for each in columns]
    rows = await connection.execute(
        sa.select(*columns, sa.func.count().label("persons"))
        .select_from(PERSON)
        .where(*census.living(division))
        .group_by(*labels)
    )
    return [
        Group(row.village, circumstances_of(row), bool(row.enrolled), bool(row.paid), int(row.persons))
        for row in rows
    ]


async def anybody_paid(connection: Connection, year: int, insurance: Insurance) -> bool:
    """Whether the year's payments were ever told here (D-53: there is a year before to compare with)."""
    line, granted, credited = PAID_LINE.c, ENTITLEMENT.c, ACCOUNT_ENTRY.c
    carried = sa.exists().where(credited.year == year)
    if insurance is Insurance.MEDICAL:
        carried = sa.exists().where(granted.year == year, granted.status == "GRANTED")
    paid = sa.exists().where(line.insurance == insurance.value, line.year == year, ~line.refunded)
    rows = await connection.execute(sa.select(sa.or_(paid, carried).label("known")))
    return bool(rows[0].known)


async def unpaid(
    connection: Connection, year: int, insurance: Insurance, division: str, after: str, limit: int
) -> Sequence[Row]:
    """Living people nobody has paid for, by person id: who of them is eligible the caller judges."""
    census = _Census(year, insurance)
    return await connection.execute(
        sa.select(_p.person_id, _p.household, *census.columns)
        .select_from(PERSON)
        .where(*census.living(division), ~census.paid, _p.person_id > after)
        .order_by(_p.person_id)
        .limit(limit)
    )


def circumstances_of(row: Row) -> Circumstances:
    """The columns of both questions that decide on eligibility."""
    return Circumstances(
        row.birth,
        row.hukou,
        bool(row.permit),
        bool(row.student),
        bool(row.employee),
        bool(row.elsewhere),
    )


class _Census:
    """People of a year and insurance, and what is known of each: probes by person id, so that the plan does not
    hang on statistics nobody has gathered yet.

    paid: by the person, or carried by government (granted cover, a credited account).
    """

    def __init__(self, year: int, insurance: Insurance) -> None:
        first, last = dt.date(year, 1, 1), dt.date(year, 12, 31)
        kind = insurance.value
        e, s, a, li = ENROLMENT.c, EMPLOYEE_SPELL.c, COVER_ELSEWHERE.c, PAID_LINE.c
        enrolled = _known(e, e.insurance == kind, e.year == year, e.state.not_in(ENDED))
        employed = _known(
            s, s.insurance == kind, s.from_date <= last, sa.or_(s.to_date.is_(None), s.to_date >= first)
        )
        elsewhere = _known(a, a.insurance == kind, a.year == year)
        line = _known(li, li.insurance == kind, li.year == year, ~li.refunded)
        self.paid = sa.or_(line, _carried(year, insurance))
        self._dead = _known(DEATH_REPORT.c, DEATH_REPORT.c.date < first)
        self.columns: list[sa.Label[Any]] = [
            _p.division.label("village"),
            _p.birth.label("birth"),
            _p.hukou_division.label("hukou"),
            _p.residence_permit.label("permit"),
            _p.student.label("student"),
            employed.label("employee"),
            elsewhere.label("elsewhere"),
            enrolled.label("enrolled"),
            self.paid.label("paid"),
        ]

    def living(self, division: str) -> list[sa.ColumnElement[bool]]:
        """Who is counted: neither merged into another nor dead before the year began."""
        return [
            _p.merged_into == "",
            _p.division.startswith(division, autoescape=True),
            ~self._dead,
        ]


def _known(columns: Any, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether a read model has a row of the person that meets the conditions."""
    return sa.exists(sa.select(sa.literal(1)).where(columns.person_id == _p.person_id, *conditions))


def _carried(year: int, insurance: Insurance) -> sa.ColumnElement[bool]:
    """Government has paid for the person: cover is granted, or the account credited."""
    if insurance is Insurance.MEDICAL:
        t = ENTITLEMENT.c
        return _known(t, t.year == year, t.status == "GRANTED")
    c = ACCOUNT_ENTRY.c
    credited = (
        sa.select(sa.func.coalesce(sa.func.sum(c.fen), 0))
        .where(c.person_id == _p.person_id, c.year == year)
        .scalar_subquery()
    )
    return credited > 0
