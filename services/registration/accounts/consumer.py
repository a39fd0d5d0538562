"""Returned collection information and paid refunds as bookkeeping commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.registration.accounts.domain import Line
from services.registration.accounts.handlers import Bookkeeping
from services.registration.causes import following
from shared.contracts.collection import (
    CollectionInfoReturnedV1,
    PaymentDocumentsConfirmedV1,
    RefundPaidV1,
)
from shared.contracts.subsidy import FamilyPlanningSpouseRecordedV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, Wait, derived_key
from shared.kernel.clock import SHANGHAI


class BookReturns:
    """征缴信息回传、确认的缴费单据 → 记账: one command per part; the last part acknowledges the document."""

    name = "book-returns"
    handles: tuple[type[msgspec.Struct], ...] = (CollectionInfoReturnedV1, PaymentDocumentsConfirmedV1)
    page = 8

    def __init__(self, bookkeeping: Bookkeeping) -> None:
        self._bookkeeping = bookkeeping

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """The whole part; one without lines says nothing."""
        message: CollectionInfoReturnedV1 = recorded.event
        metadata = following(recorded, self.name, message.campaign)
        lines = lines_of(message)
        if not lines:
            return []
        return [
            self._bookkeeping.book_part_command(
                lines,
                message.part,
                message.parts,
                (message.total_count, message.total_fen),
                metadata,
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """Parts of one voucher stay in order."""
        return str(recorded.event.voucher_no)


class NoteSpouses:
    """计生家庭 → 计生补贴 (D-15, D-57). Subsidy knows people from us, so both spouses are known here."""

    name = "note-spouses"
    handles: tuple[type[msgspec.Struct], ...] = (FamilyPlanningSpouseRecordedV1,)

    def __init__(self, bookkeeping: Bookkeeping) -> None:
        self._bookkeeping = bookkeeping

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One command per spouse."""
        message: FamilyPlanningSpouseRecordedV1 = recorded.event
        return [
            self._bookkeeping.note_spouse_command(
                message.person_id,
                message.wife_id,
                message.kind,
                message.campaign,
                message.year,
                following(recorded, self.name, message.campaign),
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """Per person."""
        return str(recorded.event.person_id)


class ReverseRefunds:
    """退库 → 冲账, for a payment that had been booked."""

    name = "reverse-refunds"
    handles: tuple[type[msgspec.Struct], ...] = (RefundPaidV1,)

    def __init__(self, bookkeeping: Bookkeeping) -> None:
        self._bookkeeping = bookkeeping

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One command; it finds out whether anything was booked."""
        message: RefundPaidV1 = recorded.event
        return [
            self._bookkeeping.reverse_command(
                message.person_id,
                message.year,
                message.payment_line_id,
                message.refund_no,
                message.paid_on,
                following(recorded, self.name, message.campaign),
                derived_key(recorded, "reverse_booking"),
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """Per person."""
        return str(recorded.event.person_id)


def lines_of(message: CollectionInfoReturnedV1) -> tuple[Line, ...]:
    """The message's lines with what its header says of all of them."""
    return tuple(
        Line(
            return_no=message.return_no,
            line_no=line.line_no,
            voucher_no=message.voucher_no,
            campaign=message.campaign,
            village=line.village,
            insurance=message.insurance,
            year=message.year,
            person_id=line.person_id,
            payer=line.payer,
            fen=line.fen,
            standard_fen=line.standard_fen,
            paid_on=line.paid_at.astimezone(SHANGHAI).date(),
            treasury_date=message.treasury_date,
            payment_line_id=line.payment_line_id,
            tier_yuan=line.tier_yuan,
            special_assessment_no=line.special_assessment_no,
        )
        for line in message.lines
    )
