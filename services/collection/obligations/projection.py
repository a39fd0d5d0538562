"""The read model ``obligation``: what each person owes, who pays, and whether it is paid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.obligations import events as e
from services.collection.obligations.stream import owner_of
from shared.eventstore.columns import Moment
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded
from shared.kernel.insurance import GOVERNMENT, Payer

metadata = sa.MetaData()

OBLIGATION = sa.Table(
    "obligation",
    metadata,
    sa.Column("year", sa.Integer, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("birth", sa.Date),
    sa.Column("assessment_id", sa.Text, nullable=False),  # "" while refused
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("standard_fen", sa.BigInteger, nullable=False),
    sa.Column("personal_fen", sa.BigInteger, nullable=False),
    sa.Column("government_fen", sa.BigInteger, nullable=False),
    sa.Column("legs", sa.Text, nullable=False),  # JSON list of {payer, fen}
    sa.Column("matching_subsidy_fen", sa.BigInteger, nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("tier_yuan", sa.Integer),
    sa.Column("pack_version", sa.Integer, nullable=False),
    sa.Column("special_assessment_no", sa.Text, nullable=False),
    sa.Column("valid_to", sa.Date),
    sa.Column("refused", sa.Text, nullable=False),  # rule, "" when assessed
    sa.Column("hold_until", sa.Date),
    sa.Column("paid_standing", sa.Text),  # EFFECTIVE, AFTER_DEATH, REFUNDED; null when unpaid
    sa.Column("paid_line_id", sa.Text),
    sa.Column("paid_fen", sa.BigInteger),
    sa.Column("paid_at", Moment),
    sa.Column("paid_channel", sa.Text),
    sa.Column("paid_agent", sa.Text),
    sa.Index("obligation_place", "campaign", "village", "insurance", "person_id"),
    postgresql_with={"fillfactor": "85"},  # a payment changes a row in its place
)

_legs = msgspec.json.Encoder()


class ObligationProjection:
    """Assessments of a page are gathered into one upsert, payments into one update."""

    name = "obligations"
    tables: Sequence[sa.Table] = (OBLIGATION,)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.ContributionAssessed,
        e.ContributionReassessed,
        e.AssessmentRefused,
        e.BirthdayHoldFound,
        e.PaymentReceived,
        e.PostDeathPaymentDetected,
        e.PostDeathFindingWithdrawn,
        e.PaymentRefunded,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        page = _Page(connection)
        for recorded in events:
            await page.add(recorded)
        await page.flush()


class _Page:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._terms: dict[tuple[int, str, str], dict[str, Any]] = {}
        self._paid: list[dict[str, Any]] = []
        self._held: list[dict[str, Any]] = []

    async def add(self, recorded: Recorded[Any]) -> None:
        event = recorded.event
        match event:
            case e.ContributionAssessed() | e.AssessmentRefused():
                self._terms[_key(event)] = _terms_row(event)
            case e.BirthdayHoldFound():
                self._held.append({**_of(event), "hold_until": event.birthday})
            case e.PaymentReceived():
                self._paid.append(_paid_row(event, "EFFECTIVE"))
            case e.PostDeathPaymentDetected() if event.was_effective:
                self._paid.append(_paid_row(event, "AFTER_DEATH"))
            case e.PostDeathFindingWithdrawn():
                await self._restand(recorded, "EFFECTIVE")
            case e.PaymentRefunded():
                await self._restand(recorded, "REFUNDED")

    async def flush(self) -> None:
        if self._terms:
            await self._connection.upsert(OBLIGATION, self._terms.values())
        if self._paid:
            await self._connection.amend(OBLIGATION, self._paid)
        if self._held:
            await self._connection.amend(OBLIGATION, self._held)
        self._terms, self._paid, self._held = {}, [], []

    async def _restand(self, recorded: Recorded[Any], standing: str) -> None:
        """The stream says whose obligation it is: the row is found by its key."""
        await self.flush()
        c, (year, insurance, person_id) = OBLIGATION.c, owner_of(recorded.stream)
        own = sa.and_(c.year == year, c.insurance == insurance, c.person_id == person_id)
        mine = sa.and_(own, c.paid_line_id == recorded.event.line_id)
        await self._connection.execute(sa.update(OBLIGATION).where(mine).values(paid_standing=standing))


def _key(event: Any) -> tuple[int, str, str]:
    return event.year, str(event.insurance), event.person_id


def _of(event: Any) -> dict[str, Any]:
    year, insurance, person_id = _key(event)
    return {"year": year, "insurance": insurance, "person_id": person_id}


def _paid_row(event: e.PaymentReceived | e.PostDeathPaymentDetected, standing: str) -> dict[str, Any]:
    return {
        **_of(event),
        "paid_standing": standing,
        "paid_line_id": event.line_id,
        "paid_fen": event.fen,
        "paid_at": event.paid_at,
        "paid_channel": event.channel,
        "paid_agent": event.agent_id,
    }


def _terms_row(event: e.ContributionAssessed | e.AssessmentRefused) -> dict[str, Any]:
    year, insurance, person_id = _key(event)
    row: dict[str, Any] = {
        "year": year, "insurance": insurance, "person_id": person_id, "campaign": event.campaign,
        "village": event.village,
    }  # fmt: skip
    if isinstance(event, e.AssessmentRefused):
        return row | {
            "birth": None, "assessment_id": "", "version": 0, "standard_fen": 0, "personal_fen": 0,
            "government_fen": 0, "legs": "[]", "matching_subsidy_fen": 0, "category": "", "tier_yuan": None,
            "pack_version": 0, "special_assessment_no": "", "valid_to": None,
            "refused": event.rule or event.code,
        }  # fmt: skip
    return row | {
        "birth": event.birth,
        "assessment_id": event.assessment_id,
        "version": event.version,
        "standard_fen": event.standard_fen,
        "personal_fen": sum(leg.fen for leg in event.legs if leg.payer is Payer.PERSON),
        "government_fen": sum(leg.fen for leg in event.legs if leg.payer in GOVERNMENT),
        "legs": _legs.encode(event.legs).decode(),
        "matching_subsidy_fen": event.matching_subsidy_fen,
        "category": event.category,
        "tier_yuan": event.tier_yuan,
        "pack_version": event.pack_version,
        "special_assessment_no": event.special_assessment_no,
        "valid_to": event.valid_to,
        "refused": "",
    }
