"""Read models of taxpayers: the person as tax knows him, his live links, deaths, and collection scopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.taxpayers import events as e
from services.collection.virtual_households.events import CollectionScopeAssigned
from shared.contracts.registration import DeathReportCorrectedV1, DeathReportedV1
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

TAXPAYER = sa.Table(
    "taxpayer",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("taxpayer_no", sa.Text, nullable=False),
    sa.Column("birth", sa.Date, nullable=False),
    sa.Column("sex", sa.Text, nullable=False),
    sa.Column("hukou_division", sa.Text, nullable=False),
    sa.Column("residence_permit", sa.Boolean, nullable=False),
    sa.Column("student", sa.Boolean, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("household", sa.Text, nullable=False),
)

ENROLLED = sa.Table(
    "enrolled",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("year", sa.Integer, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("record_no", sa.Text, nullable=False),
    sa.Column("record_version", sa.Integer, nullable=False),
    sa.Column("virtual_household_id", sa.Text, nullable=False),
    sa.Index("enrolled_place", "campaign", "insurance", "village", "person_id"),
)

DECEASED = sa.Table(
    "deceased",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("died_on", sa.Date, nullable=False),
)

SCOPE = sa.Table(
    "household_scope",
    metadata,
    sa.Column("virtual_household_id", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("division", sa.Text, primary_key=True),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Index("household_scope_division", "campaign", "insurance", "division"),
)


_SET_HOUSEHOLD = (
    sa.update(ENROLLED)
    .where(
        ENROLLED.c.person_id == sa.bindparam("of_person"),
        ENROLLED.c.insurance == sa.bindparam("of_insurance"),
        ENROLLED.c.year == sa.bindparam("of_year"),
    )
    .values(virtual_household_id=sa.bindparam("household"))
)


class TaxpayerProjection:
    """Inserts of a page are gathered; what changes a row flushes them first, so order is kept."""

    name = "taxpayers"
    tables: Sequence[sa.Table] = (TAXPAYER, ENROLLED, DECEASED, SCOPE)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.RegistrationInfoAccepted,
        e.RegistrationLinked,
        e.RegistrationUnlinked,
        e.PayerLinkedToVirtualHousehold,
        e.PayerUnlinkedFromVirtualHousehold,
        CollectionScopeAssigned,
        DeathReportedV1,
        DeathReportCorrectedV1,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        page = _Page(connection)
        for recorded in events:
            await page.add(recorded.event)
        await page.flush()


class _Page:
    """Rows of a page on their way."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._persons: dict[str, dict[str, Any]] = {}
        self._links: dict[tuple[str, str, int], dict[str, Any]] = {}
        self._households: dict[tuple[str, str, int], str] = {}

    async def add(self, event: Any) -> None:
        match event:
            case e.RegistrationInfoAccepted():
                self._persons[event.person_id] = _person_row(event)
            case e.RegistrationLinked():
                self._links[event.person_id, event.insurance.value, event.year] = _link_row(event)
            case e.PayerLinkedToVirtualHousehold():
                key = (event.person_id, event.insurance.value, event.year)
                self._households[key] = event.virtual_household_id
            case e.PayerUnlinkedFromVirtualHousehold():
                self._households[event.person_id, event.insurance.value, event.year] = ""
            case e.RegistrationUnlinked():
                await self.flush()
                await self._connection.execute(
                    sa.delete(ENROLLED).where(
                        ENROLLED.c.person_id == event.person_id,
                        ENROLLED.c.insurance == event.insurance.value,
                        ENROLLED.c.year == event.year,
                    )
                )
            case CollectionScopeAssigned():
                await self._assign(event)
            case DeathReportedV1() | DeathReportCorrectedV1():
                await self._died(event)

    async def flush(self) -> None:
        if self._persons:
            await self._connection.upsert(TAXPAYER, self._persons.values())
        served = self._links.keys() & self._households.keys()
        if served:
            # Linked and taken in by a household in one page: written once, as it stands in the end.
            rows = [
                self._links.pop(key) | {"virtual_household_id": self._households.pop(key)}
                for key in sorted(served)
            ]
            await self._connection.upsert(ENROLLED, rows)
        if self._links:
            await self._connection.upsert(ENROLLED, self._links.values(), keep=("virtual_household_id",))
        if self._households:
            await self._connection.execute(
                _SET_HOUSEHOLD,
                [
                    {
                        "of_person": person_id,
                        "of_insurance": insurance,
                        "of_year": year,
                        "household": household,
                    }
                    for (person_id, insurance, year), household in self._households.items()
                ],
            )
        self._persons, self._links, self._households = {}, {}, {}

    async def _assign(self, event: CollectionScopeAssigned) -> None:
        await self._connection.execute(
            sa.delete(SCOPE).where(
                SCOPE.c.virtual_household_id == event.virtual_household_id, SCOPE.c.campaign == event.campaign
            )
        )
        await self._connection.upsert(
            SCOPE,
            [
                {
                    "virtual_household_id": event.virtual_household_id,
                    "campaign": event.campaign,
                    "insurance": insurance.value,
                    "division": division,
                    "mode": event.mode,
                }
                for insurance in event.insurances
                for division in event.divisions
            ],
        )

    async def _died(self, event: DeathReportedV1 | DeathReportCorrectedV1) -> None:
        """Registration says which date counts, whoever reported it (I-31); None: the person lives."""
        if event.date is None:
            await self._connection.execute(sa.delete(DECEASED).where(DECEASED.c.person_id == event.person_id))
            return
        row = {"person_id": event.person_id, "died_on": event.date}
        await self._connection.upsert(DECEASED, [row])


def _person_row(event: e.RegistrationInfoAccepted) -> dict[str, Any]:
    return {
        "person_id": event.person_id,
        "taxpayer_no": f"T{event.person_id[:16]}",
        "birth": event.birth,
        "sex": event.sex,
        "hukou_division": event.hukou_division,
        "residence_permit": event.residence_permit,
        "student": event.student,
        "village": event.village,
        "household": event.household,
    }


def _link_row(event: e.RegistrationLinked) -> dict[str, Any]:
    return {
        "person_id": event.person_id,
        "insurance": event.insurance.value,
        "year": event.year,
        "campaign": event.campaign,
        "village": event.village,
        "record_no": event.record_no,
        "record_version": event.record_version,
        "virtual_household_id": "",
    }
