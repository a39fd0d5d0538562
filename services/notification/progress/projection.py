"""Read models of progress. Messages of different topics come in any order, so each fills its own columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.contracts.collection import (
    AssessmentRefusedV1,
    CampaignOpenedV1,
    CampaignWindowExtendedV1,
    CollectionTargetAssignedV1,
    ContributionAssessedV1,
    PaymentReceivedV1,
    RefundPaidV1,
    TreasuryEntryConfirmedV1,
)
from shared.contracts.registration import BookkeepingEntriesPostedV1
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded
from shared.kernel.insurance import GOVERNMENT, Payer

metadata = sa.MetaData()

campaign_table = sa.Table(
    "progress_campaign",
    metadata,
    sa.Column("campaign", sa.String(20), primary_key=True),
    sa.Column("window_from", sa.Date, nullable=False),
    sa.Column("window_to", sa.Date, nullable=False),
)

target_table = sa.Table(
    "progress_target",
    metadata,
    sa.Column("campaign", sa.String(20), primary_key=True),
    sa.Column("division", sa.String(12), primary_key=True),
    sa.Column("insurance", sa.String(10), primary_key=True),
    sa.Column("persons", sa.BigInteger, nullable=False),
    sa.Column("amount_fen", sa.BigInteger),
    sa.Column("statistical_scope", sa.String(20), nullable=False),
)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))


obligation_table = sa.Table(
    "progress_obligation",
    metadata,
    sa.Column("campaign", sa.String(20), primary_key=True),
    sa.Column("insurance", sa.String(10), primary_key=True),
    sa.Column("person_id", sa.String(32), primary_key=True),
    sa.Column("village", sa.String(12), nullable=False),
    sa.Column("birth", sa.Date),
    _count("assessed"),
    _count("standard_fen"),
    _count("personal_fen"),
    _count("sponsored_fen"),
    _count("government_fen"),
    _count("paid_fen"),
    sa.Index("progress_obligation_by_village", "campaign", "village", "insurance"),
    postgresql_with={"fillfactor": "70"},  # a payment changes a row in its place
)

stage_table = sa.Table(
    "progress_stage",
    metadata,
    sa.Column("campaign", sa.String(20), primary_key=True),
    sa.Column("village", sa.String(12), primary_key=True),
    sa.Column("insurance", sa.String(10), primary_key=True),
    sa.Column("stage", sa.String(16), primary_key=True),
    _count("lines"),
    _count("fen"),
)


class ProgressProjection:
    """Who owes, who paid, and how far the money has come."""

    name = "progress"
    tables: Sequence[sa.Table] = (campaign_table, target_table, obligation_table, stage_table)
    handles: tuple[type[msgspec.Struct], ...] = (
        CampaignOpenedV1,
        CampaignWindowExtendedV1,
        CollectionTargetAssignedV1,
        ContributionAssessedV1,
        AssessmentRefusedV1,
        PaymentReceivedV1,
        RefundPaidV1,
        TreasuryEntryConfirmedV1,
        BookkeepingEntriesPostedV1,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """The page by kind of message, each to the database at once: kinds fill columns of their own, but
        what is owed (assessed or refused) and what was paid (received or refunded) is told twice, in order."""
        kinds: dict[str, list[Any]] = {}
        for recorded in events:
            event = recorded.event
            kinds.setdefault(_COLUMNS.get(type(event), type(event).__name__), []).append(event)
        for run in kinds.values():
            await self._apply(connection, run)

    async def _apply(self, connection: Connection, run: Sequence[Any]) -> None:
        match run[0]:
            case CampaignOpenedV1() | CampaignWindowExtendedV1():
                for each in run:
                    if isinstance(each, CampaignOpenedV1):
                        await connection.upsert(campaign_table, [_campaign(each)])
                        continue
                    await connection.execute(
                        sa.update(campaign_table)
                        .where(campaign_table.c.campaign == each.campaign)
                        .values(window_to=each.new_end)
                    )
            case CollectionTargetAssignedV1():
                await connection.upsert(target_table, [_target(each) for each in run])
            case ContributionAssessedV1() | AssessmentRefusedV1():
                for kind, same in groupby(run, key=type):
                    row = _assessed if kind is ContributionAssessedV1 else _refused
                    await connection.upsert(obligation_table, [row(each) for each in same])
            case PaymentReceivedV1() | RefundPaidV1():
                await connection.upsert(obligation_table, [_paid(each) for each in run if _pays(each)])
                refunds = [_stage(each, "REFUNDED") for each in run if isinstance(each, RefundPaidV1)]
                await connection.upsert(stage_table, refunds, add=("lines", "fen"))
            case TreasuryEntryConfirmedV1():
                rows = [row for each in run for row in _entered(each)]
                await connection.upsert(stage_table, rows, add=("lines", "fen"))
            case BookkeepingEntriesPostedV1():
                rows = [row for each in run for row in _booked(each)]
                await connection.upsert(stage_table, rows, add=("lines", "fen"))


_COLUMNS: dict[type[Any], str] = {
    ContributionAssessedV1: "owed",
    AssessmentRefusedV1: "owed",
    PaymentReceivedV1: "paid",
    RefundPaidV1: "paid",
    CampaignOpenedV1: "campaign",
    CampaignWindowExtendedV1: "campaign",
}
"""Kinds of message that fill the same columns: one group, in order."""


def _campaign(event: CampaignOpenedV1) -> dict[str, Any]:
    return {"campaign": event.campaign, "window_from": event.window_from, "window_to": event.window_to}


def _target(event: CollectionTargetAssignedV1) -> dict[str, Any]:
    return {
        "campaign": event.campaign,
        "division": event.division,
        "insurance": event.insurance.value,
        "persons": event.persons,
        "amount_fen": event.amount_fen,
        "statistical_scope": event.statistical_scope,
    }


def _assessed(event: ContributionAssessedV1) -> dict[str, Any]:
    person = sum(leg.fen for leg in event.legs if leg.payer is Payer.PERSON)
    government = sum(leg.fen for leg in event.legs if leg.payer in GOVERNMENT)
    return {
        "campaign": event.campaign,
        "insurance": event.insurance.value,
        "person_id": event.person_id,
        "village": event.village,
        "birth": event.birth,
        "assessed": 1,
        "standard_fen": event.standard_fen,
        "personal_fen": person,
        "sponsored_fen": event.standard_fen - person - government,
        "government_fen": government,
    }


def _refused(event: AssessmentRefusedV1) -> dict[str, Any]:
    """Nothing is owed any more, e.g. since a refund ended the enrolment; what was paid stays told."""
    return {
        "campaign": event.campaign,
        "insurance": event.insurance.value,
        "person_id": event.person_id,
        "village": event.village,
        "assessed": 0,
        "standard_fen": 0,
        "personal_fen": 0,
        "sponsored_fen": 0,
        "government_fen": 0,
    }


def _pays(event: PaymentReceivedV1 | RefundPaidV1) -> bool:
    """Whether what was paid changes: a refund beside another effective payment leaves it."""
    return isinstance(event, PaymentReceivedV1) or not event.effective_payment_remains


def _paid(event: PaymentReceivedV1 | RefundPaidV1) -> dict[str, Any]:
    return {
        "campaign": event.campaign,
        "insurance": event.insurance.value,
        "person_id": event.person_id,
        "village": event.village,
        "paid_fen": event.fen if isinstance(event, PaymentReceivedV1) else 0,
    }


def _entered(event: TreasuryEntryConfirmedV1) -> list[dict[str, Any]]:
    """A voucher's money by village: a channel's or a government payment's voucher holds many."""
    key = {"campaign": event.campaign, "insurance": event.insurance.value, "stage": "IN_TREASURY"}
    return [key | {"village": each.village, "lines": each.count, "fen": each.fen} for each in event.villages]


def _booked(event: BookkeepingEntriesPostedV1) -> list[dict[str, Any]]:
    """A part's bookings by village."""
    sums: dict[str, tuple[int, int]] = {}
    for line in event.lines:
        lines, fen = sums.get(line.village, (0, 0))
        sums[line.village] = (lines + 1, fen + line.fen)
    key = {"campaign": event.campaign, "insurance": event.insurance.value, "stage": "BOOKED"}
    return [key | {"village": village, "lines": lines, "fen": fen} for village, (lines, fen) in sums.items()]


def _stage(event: RefundPaidV1, stage: str) -> dict[str, Any]:
    return {
        "campaign": event.campaign,
        "village": event.village,
        "insurance": event.insurance.value,
        "stage": stage,
        "lines": 1,
        "fen": event.fen,
    }
