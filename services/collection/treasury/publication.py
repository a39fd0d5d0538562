"""What the treasury part tells the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.treasury import events as t
from shared.contracts.collection import (
    CollectionInfoReturnedV1,
    DeclarationVerifiedV1,
    GovernmentLegRefusedV1,
    ReturnedLine,
    TaxReceiptIssuedV1,
    TaxVoucherIssuedV1,
    TreasuryEntryConfirmedV1,
    TreasuryEntryRejectedV1,
    VillageSum,
)
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class TreasuryPublication:
    """Declarations verified, vouchers issued and entered or rejected, receipts, returns."""

    name = "treasury"
    handles: tuple[type[Event], ...] = (
        t.DeclarationVerified,
        t.TaxVoucherIssued,
        t.TreasuryEntryConfirmed,
        t.TreasuryEntryRejected,
        t.TaxReceiptIssued,
        t.CollectionInfoReturned,
        t.GovernmentLineRefused,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        event = recorded.event
        match event:
            case t.DeclarationVerified():
                return [
                    DeclarationVerifiedV1(
                        village=event.village,
                        campaign=event.campaign,
                        declaration_no=event.declaration_no,
                        count=event.count,
                        fen=event.fen,
                    )
                ]
            case t.TaxVoucherIssued():
                return [
                    TaxVoucherIssuedV1(
                        voucher_no=event.voucher_no,
                        campaign=event.campaign,
                        village=event.village,
                        insurance=event.insurance,
                        year=event.year,
                        source=event.source,
                        count=event.count,
                        fen=event.fen,
                    )
                ]
            case t.TreasuryEntryConfirmed():
                return [
                    TreasuryEntryConfirmedV1(
                        voucher_no=event.voucher_no,
                        campaign=event.campaign,
                        village=event.village,
                        insurance=event.insurance,
                        year=event.year,
                        source=event.source,
                        treasury_date=event.treasury_date,
                        count=event.count,
                        fen=event.fen,
                        villages=tuple(VillageSum(*msgspec.structs.astuple(each)) for each in event.villages),
                    )
                ]
            case t.CollectionInfoReturned():
                return [returned_message(event)]
            case _:
                return _others(event)


def _others(event: Event) -> Sequence[Message]:
    match event:
        case t.GovernmentLineRefused():
            return [
                GovernmentLegRefusedV1(
                    voucher_no=event.voucher_no,
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
            ]
        case t.TreasuryEntryRejected():
            return [
                TreasuryEntryRejectedV1(
                    voucher_no=event.voucher_no,
                    campaign=event.campaign,
                    village=event.village,
                    insurance=event.insurance,
                    reason=event.reason,
                )
            ]
        case t.TaxReceiptIssued():
            return [
                TaxReceiptIssuedV1(
                    voucher_no=event.voucher_no,
                    campaign=event.campaign,
                    village=event.village,
                    receipt_no=event.receipt_no,
                )
            ]
        case _:
            return []


def returned_message(event: t.CollectionInfoReturned) -> Message:
    lines = tuple(
        ReturnedLine(
            line_no=number,
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
        for number, line in enumerate(event.lines, event.first_line_no)
    )
    return CollectionInfoReturnedV1(
        voucher_no=event.voucher_no,
        return_no=event.return_no,
        campaign=event.campaign,
        insurance=event.insurance,
        year=event.year,
        treasury_date=event.treasury_date,
        part=event.part,
        parts=event.parts,
        total_count=event.total_count,
        total_fen=event.total_fen,
        lines=lines,
    )
