"""What the fund accounts tell the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.collection.fund_accounts import events as f
from shared.contracts import collection as c
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class FundAccountsPublication:
    """Deposits, documents drawn and confirmed, villages that may publish."""

    name = "fund-accounts"
    handles: tuple[type[Event], ...] = (
        f.FundAccountDeposited,
        f.PaymentDocumentLines,
        f.PaymentDocumentLinesConfirmed,
        f.VillagePaymentsConfirmed,
        f.GovernmentLineLeftOut,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        event = recorded.event
        match event:
            case f.FundAccountDeposited():
                return [_deposited(event)]
            case f.PaymentDocumentLines():
                return [_drawn(event)]
            case f.PaymentDocumentLinesConfirmed():
                return [_confirmed(event)]
            case f.GovernmentLineLeftOut():
                return [_left_out(event)]
            case f.VillagePaymentsConfirmed():
                suffix = f".{event.signature_no}" if event.signature_no > 1 else ""
                return [
                    c.VillagePaymentsConfirmedV1(
                        village=event.village,
                        campaign=event.campaign,
                        roster_id=f"{event.campaign}.{event.village}{suffix}",
                        count=event.count,
                        fen=event.fen,
                    )
                ]
            case _:
                return []


def _deposited(event: f.FundAccountDeposited) -> Message:
    return c.FundAccountDepositedV1(
        village=event.village,
        campaign=event.campaign,
        deposit_no=event.deposit_no,
        kind=event.kind,
        insurance=event.insurance,
        year=event.year,
        date=event.date,
        fen=event.fen,
        legs=tuple(
            c.ArrivedLeg(line.person_id, line.payer, line.fen) for line in event.lines if line.effective
        ),
    )


def _left_out(event: f.GovernmentLineLeftOut) -> Message:
    return c.GovernmentLegRefusedV1(
        voucher_no=event.document_no,
        person_id=event.person_id,
        department=event.department,
        payment_no=event.payment_no,
        campaign=event.campaign,
        insurance=event.insurance,
        year=event.year,
        payer=event.payer,
        fen=event.fen,
        reason=event.reason,
    )


def _drawn(event: f.PaymentDocumentLines) -> Message:
    return c.PaymentDocumentDrawnV1(
        voucher_no=event.document_no,
        source=event.source,
        campaign=event.campaign,
        insurance=event.insurance,
        year=event.year,
        part=event.part,
        parts=event.parts,
        legs=tuple(
            c.DocumentLeg(line.line_no, line.person_id, line.village, line.payer, line.fen)
            for line in event.lines
        ),
    )


def _confirmed(event: f.PaymentDocumentLinesConfirmed) -> Message:
    return c.PaymentDocumentsConfirmedV1(
        voucher_no=event.document_no,
        return_no=event.return_no,
        campaign=event.campaign,
        insurance=event.insurance,
        year=event.year,
        treasury_date=event.confirmed_on,
        part=event.part,
        parts=event.parts,
        total_count=event.total_count,
        total_fen=event.total_fen,
        lines=tuple(
            c.ReturnedLine(
                line_no=line.line_no,
                person_id=line.person_id,
                village=line.village,
                payer=line.payer,
                fen=line.fen,
                standard_fen=line.standard_fen,
                paid_at=line.paid_at,
                payment_line_id=line.line_id,
                tier_yuan=line.tier_yuan,
                special_assessment_no=line.special_assessment_no,
            )
            for line in event.lines
        ),
    )
