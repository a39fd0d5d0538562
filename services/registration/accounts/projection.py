"""Read models of bookkeeping: totals per day and the entries of pension accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.registration.accounts import events as e
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded
from shared.kernel.insurance import Insurance, Payer

metadata = sa.MetaData()

BOOKING_TOTAL = sa.Table(
    "booking_total",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("village", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("lines", sa.BigInteger, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("mismatched_lines", sa.BigInteger, nullable=False),
    sa.Column("mismatched_fen", sa.BigInteger, nullable=False),
)

ACCOUNT_ENTRY = sa.Table(
    "account_entry",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False, comment="negative when taken back"),
    sa.Column("credited_on", sa.Date, nullable=False),
    sa.Column("interest_from", sa.Date),
)


FISCAL_TOTAL = sa.Table(
    "fiscal_total",
    metadata,
    sa.Column("year", sa.Integer, primary_key=True),
    sa.Column("village", sa.Text, primary_key=True),
    sa.Column(
        "kind", sa.Text, primary_key=True, comment="MEDICAL, MEDICAL_SPECIAL, MATCHING, FAMILY_PLANNING"
    ),
    sa.Column("heads", sa.BigInteger, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
)


class FiscalTotals:
    """Booked heads and credited subsidies per village and year: what fiscal money is claimed for (D-45).

    A medical head is booked with the person's own leg, or with the leg that pays all of it.
    """

    name = "fiscal-totals"
    tables: Sequence[sa.Table] = (FISCAL_TOTAL,)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.BookkeepingPosted,
        e.BookkeepingReversed,
        e.GovernmentMatchingCredited,
        e.FamilyPlanningSubsidyCredited,
        e.PensionCreditReversed,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """A page is summed up before it is written."""
        sums: dict[tuple[int, str, str], list[int]] = {}
        for recorded in events:
            event = recorded.event
            for kind, heads, fen in _fiscal(event):
                found = sums.setdefault((event.year, event.village, kind), [0, 0])
                found[0] += heads
                found[1] += fen
        rows = [
            {"year": year, "village": village, "kind": kind, "heads": heads, "fen": fen}
            for (year, village, kind), (heads, fen) in sorted(sums.items())
        ]
        if rows:
            await connection.upsert(FISCAL_TOTAL, rows, add=("heads", "fen"))


def _fiscal(event: Any) -> list[tuple[str, int, int]]:
    """(kind, heads, fen) that an event adds."""
    match event:
        case e.BookkeepingPosted() if event.insurance is Insurance.MEDICAL:
            kind = "MEDICAL_SPECIAL" if event.special_assessment_no else "MEDICAL"
            own = event.payer == Payer.PERSON.value or event.fen == event.standard_fen
            return [(kind, 1, event.fen)] if own else []
        case e.BookkeepingReversed() if event.insurance is Insurance.MEDICAL:
            return [("MEDICAL", -1, -event.fen)] if event.payer == Payer.PERSON.value else []
        case e.GovernmentMatchingCredited():
            return [("MATCHING", 1, event.fen)]
        case e.FamilyPlanningSubsidyCredited():
            return [("FAMILY_PLANNING", 1, event.fen)]
        case e.PensionCreditReversed():
            taken = (("MATCHING", event.matching_fen), ("FAMILY_PLANNING", event.family_planning_fen))
            return [(kind, -1, -fen) for kind, fen in taken if fen]
        case _:
            return []


class BookingTotals:
    """记账合计 per campaign, village, insurance and day; reversals count against their own day."""

    name = "booking-totals"
    tables: Sequence[sa.Table] = (BOOKING_TOTAL,)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.BookkeepingPosted,
        e.BookkeepingMismatchDetected,
        e.BookkeepingReversed,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """Add up a page."""
        rows = [_total(recorded) for recorded in events]
        columns = ("lines", "fen", "mismatched_lines", "mismatched_fen")
        await connection.upsert(BOOKING_TOTAL, rows, add=columns)


class AccountEntries:
    """个人账户 entries; the log position keeps them apart and in order."""

    name = "account-entries"
    tables: Sequence[sa.Table] = (ACCOUNT_ENTRY,)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.PensionAccountCredited,
        e.GovernmentMatchingCredited,
        e.FamilyPlanningSubsidyCredited,
        e.PensionCreditReversed,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """Insert a page."""
        await connection.upsert(ACCOUNT_ENTRY, [_entry(recorded) for recorded in events])


def _total(recorded: Recorded[Any]) -> dict[str, Any]:
    event = recorded.event
    row = {
        "campaign": event.campaign,
        "village": event.village,
        "insurance": event.insurance.value,
        "lines": 0,
        "fen": 0,
        "mismatched_lines": 0,
        "mismatched_fen": 0,
    }
    match event:
        case e.BookkeepingPosted():
            return row | {"date": event.booked_on, "lines": 1, "fen": event.fen}
        case e.BookkeepingReversed():
            return row | {"date": event.reversed_on, "lines": -1, "fen": -event.fen}
        case _:
            day = recorded.recorded_at.date()
            return row | {"date": day, "mismatched_lines": 1, "mismatched_fen": event.theirs_fen}


def _entry(recorded: Recorded[Any]) -> dict[str, Any]:
    event = recorded.event
    row = {"person_id": event.person_id, "position": recorded.position, "year": event.year}
    match event:
        case e.PensionAccountCredited():
            return row | {
                "kind": "PERSONAL" if event.payer == "person" else event.payer.upper(),
                "fen": event.fen,
                "credited_on": event.credited_on,
                "interest_from": event.interest_from,
            }
        case e.GovernmentMatchingCredited():
            return row | {
                "kind": "MATCHING",
                "fen": event.fen,
                "credited_on": event.credited_on,
                "interest_from": None,
            }
        case e.FamilyPlanningSubsidyCredited():
            return row | {
                "kind": "FAMILY_PLANNING",
                "fen": event.fen,
                "credited_on": event.credited_on,
                "interest_from": None,
            }
        case _:
            return row | {
                "kind": "REVERSED",
                "fen": -event.fen - event.matching_fen - event.family_planning_fen,
                "credited_on": event.reversed_on,
                "interest_from": None,
            }
